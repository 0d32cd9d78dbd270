"""From a lab file to a checked `Scenario`, and across a process border as JSON."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

import msgspec

from radios.errors import LocalError

from . import checks, files, overrides, recorded, shape
from .model import Scenario
from .source import Source, readable

_EXAMPLES: dict[type, str] = {IPv4Network: "10.0.0.0/24", IPv6Network: "2001:db8:1::/64"}


def load(path: Path | str, settings: Sequence[str] = ()) -> Scenario:
    """Read, override and check a lab file. Paths in the result are absolute.

    Args:
        path: the TOML file.
        settings: ``key.path=value``, laid over the file in order.

    Raises:
        LocalError: anything wrong with the file or a setting, naming file, key and remedy.
    """
    path = Path(path)
    source = Source(str(path))
    raw = _read(path)
    shape.check(raw, source)
    for setting in settings:
        source.overridden.add(overrides.apply(raw, setting))
    if settings:
        shape.check(raw, source)
    scenario = _plain_codecs(_convert(raw, source))
    for problem in checks.problems(scenario):
        raise source.error(*problem)
    scenario = files.resolve(scenario, path.absolute().parent)
    files.check(scenario, source)
    return recorded.resolve(scenario, path.absolute().parent, source)


def encode(scenario: Scenario) -> bytes:
    """The scenario as JSON, for another process of the same version; secrets included."""
    return msgspec.json.encode(scenario, enc_hook=_encode)


def decode(data: bytes) -> Scenario:
    """The scenario that `encode` wrote; it was checked before and is not checked again.

    Raises:
        LocalError: not such a text.
    """
    try:
        return msgspec.json.decode(data, type=Scenario, dec_hook=_decode)
    except msgspec.DecodeError as error:
        raise LocalError(
            f"not a scenario: {error}", remedy="send what scenario.encode made, same version"
        ) from error


def check_bench(scenario: Scenario, file: str) -> None:
    """Refuse a lab that does not place its radios on machines.

    Raises:
        LocalError: naming the box without a machine.
    """
    for problem in checks.bench_problems(scenario):
        raise Source(file).error(*problem)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise LocalError(
            "there is no such lab file", where=str(path), remedy=_other_labs(path)
        ) from error
    except OSError as error:
        raise LocalError(
            f"cannot read the lab file: {error.strerror}",
            where=str(path),
            remedy="name a TOML file that you may read",
        ) from error
    except UnicodeDecodeError as error:
        raise LocalError(
            f"not UTF-8 text at octet {error.start}", where=str(path), remedy="save it as UTF-8"
        ) from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Not only TOMLDecodeError: a number of 5000 digits or 1000 nested brackets end here too.
        raise LocalError(
            f"not TOML: {error}", where=str(path), remedy="mend that line (https://toml.io)"
        ) from error


def _other_labs(path: Path) -> str:
    for folder in (path.parent, Path("lab_configs")):
        found = [str(file) for file in sorted(folder.glob("*.toml")) if file.stem != "pyproject"]
        if found:
            return f"there are: {', '.join(found)}"
    return "give the path of a lab file (*.toml)"


def _convert(raw: dict[str, Any], source: Source) -> Scenario:
    try:
        return msgspec.convert(raw, Scenario, dec_hook=_decode)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `")
        key = readable(at.rstrip("`"), raw)
        raise source.error(key, what[:1].lower() + what[1:], shape.explain(key)) from error


def _plain_codecs(scenario: Scenario) -> Scenario:
    """Codecs by the names of the traffic table: ``G.711`` is ``g711`` there."""
    return msgspec.structs.replace(
        scenario,
        flows=tuple(
            flow
            if flow.codec is None
            else msgspec.structs.replace(flow, codec=flow.codec.lower().replace(".", ""))
            for flow in scenario.flows
        ),
    )


def _decode(kind: type, value: Any) -> Any:
    """Addresses from text; msgspec adds the key to what is raised here."""
    if kind not in (IPv4Address, IPv4Network, IPv6Address, IPv6Network):
        raise NotImplementedError(f"no way to read a {kind}")
    if not isinstance(value, str):
        raise ValueError(f"Expected text, got `{value}`")
    if kind in _EXAMPLES and "/" not in value:
        raise ValueError(f"{value} lacks its prefix length, as in {_EXAMPLES[kind]}")
    return kind(value)


def _encode(value: Any) -> str:
    if isinstance(value, IPv4Address | IPv4Network | IPv6Address | IPv6Network):
        return str(value)
    raise NotImplementedError(f"no way to write a {type(value)}")
