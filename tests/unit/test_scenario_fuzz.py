"""Whatever stands in a lab file or a setting, it loads or is refused with a LocalError."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpa_hil import scenario
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
TWO = LABS / "two_domains.toml"
RAW = tomllib.loads(TWO.read_text(encoding="utf-8"))


def keys(value: Any, path: str = "") -> list[str]:
    """Every dotted key of a raw lab."""
    if isinstance(value, dict):
        return [path, *(k for n, v in value.items() for k in keys(v, f"{path}.{n}" if path else n))]
    if isinstance(value, list):
        return [path, *(k for i, v in enumerate(value) for k in keys(v, f"{path}.{i}"))]
    return [path]


KEYS = sorted({key for key in keys(RAW) if key})
VALUES = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["true", "[]", "{}", "[1]", "{a = 1}", "2026-01-01", "''", "nan", "[[1]]"]),
)
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_for_any_key(key: str, value: str) -> None:
    with contextlib.suppress(LocalError):
        scenario.load(TWO, [f"{key}={value}"])


@FUZZ
@given(st.text(max_size=60))
def test_any_setting(setting: str) -> None:
    with contextlib.suppress(LocalError):
        scenario.load(TWO, [setting])


@FUZZ
@given(st.data())
def test_lines_left_out_and_doubled(tmp_path: Path, data: st.DataObject) -> None:
    lines = TWO.read_text(encoding="utf-8").splitlines(keepends=True)
    chosen = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=6))
    times = data.draw(st.sampled_from([0, 2]))
    path = tmp_path / "lab.toml"
    path.write_text(
        "".join(line * (times if i in chosen else 1) for i, line in enumerate(lines)),
        encoding="utf-8",
    )
    with contextlib.suppress(LocalError):
        scenario.load(path)
