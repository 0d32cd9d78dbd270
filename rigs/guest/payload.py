"""What a run brings into the guest: the project's code and the job, as initramfs parts.

Compiling the code takes seconds, so its part is kept in the cache beside the images, under a digest
of all that is in it; the few that were used last stay.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import marshal
import os
import struct
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import cpio
from .image import GUEST_PYTHON, cache_folder

PROJECT = Path(__file__).resolve().parent.parent.parent
CODE = ("mpa_hil", "rigs", "radios", "firmware_notes")
TESTS = ("tests", "lab_configs", "docs")
"""Folders that tests need as well."""
SINGLE_FILES = ("pyproject.toml", "README.md")
SUFFIXES = {".py", ".toml", ".sh", ".list", ".md", ".lua", ".txt", ".pcap", ".json", ".typed"}
OUT = "/run/out"
COMPILES = f"{sys.version_info.major}.{sys.version_info.minor}" == GUEST_PYTHON
"""Whether this Python's bytecode is the guest's: compiling there costs a second of its time."""
CACHE_TAG = sys.implementation.cache_tag
_UNCHECKED = struct.pack("<I8x", 0b01)
"""Flags and source hash of a .pyc that is never compared with its source (PEP 552)."""
_KEPT = "code-"
_KEEP = 4


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run in the guest, from the top of the code.

    Attributes:
        argv: the command; `python3` finds the project's packages and its dependencies.
        env: added to the environment.
        files: path below the code -> content, for what the caller brings along.
        serve: also answer `rigs.guest.remote` while the command runs.
        folders: of the checkout, besides the code's; `TESTS`, say.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    serve: bool = False
    folders: Sequence[str] = ()


def pack(job: Job) -> bytes:
    """The archives to lay behind the loader's."""
    archive = cpio.Archive()
    boot = Path(__file__).with_name("boot.sh").read_bytes()
    archive.file("payload/boot.sh", boot, 0o755)
    description = {
        "argv": list(job.argv),
        "env": dict(job.env),
        "out": OUT,
        "serve": job.serve,
    }
    archive.file("payload/job.json", json.dumps(description).encode())
    for name, content in job.files.items():
        archive.file(f"payload/code/{name}", content)
    sources = {path.relative_to(PROJECT): path.read_bytes() for path in _code(job.folders)}
    return _code_part(sources, cache_folder()) + archive.close()


def _code_part(sources: Mapping[Path, bytes], kept_in: Path) -> bytes:
    """The archive of the code, from the cache where it is there."""
    digest = hashlib.sha256(repr((CACHE_TAG, COMPILES, sys.version)).encode())
    for place, content in sources.items():
        digest.update(b"%b %d\n" % (str(place).encode(), len(content)) + content)
    kept = kept_in / f"{_KEPT}{digest.hexdigest()[:16]}.cpio"
    with contextlib.suppress(OSError):
        found = kept.read_bytes()
        os.utime(kept)
        return found
    archive = cpio.Archive()
    for place, content in sources.items():
        archive.file(f"payload/code/{place}", content)
        if place.suffix == ".py" and COMPILES:
            cached = place.parent / "__pycache__" / f"{place.stem}.{CACHE_TAG}.pyc"
            archive.file(f"payload/code/{cached}", _compiled(place, content))
    packed = archive.close()
    with contextlib.suppress(OSError):  # no cache, no harm
        _keep(kept, packed)
    return packed


def _keep(place: Path, content: bytes) -> None:
    """Write a file whole or not at all, and let the oldest of its kind go."""
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".code-", delete=False) as stream:
        try:
            stream.write(content)
            stream.flush()
            os.replace(stream.name, place)
        except OSError:
            os.unlink(stream.name)
            raise
    every = sorted(place.parent.glob(f"{_KEPT}*"), key=lambda path: path.stat().st_mtime)
    for old in every[:-_KEEP]:
        old.unlink(missing_ok=True)


def _compiled(place: Path, content: bytes) -> bytes:
    """The module as a .pyc, the same for the same source."""
    name = f"/run/payload/code/{place}"
    code = compile(content, name, "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code)


def _code(besides: Sequence[str]) -> list[Path]:
    found = [PROJECT / name for name in SINGLE_FILES if (PROJECT / name).is_file()]
    for folder in (*CODE, *besides):
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "__pycache__" not in path.parts:
                found.append(path)
    return found
