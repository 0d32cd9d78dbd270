"""What a run brings into the guest: the project's code and the job, as an initramfs part."""

from __future__ import annotations

import importlib.util
import json
import marshal
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from . import cpio
from .image import GUEST_PYTHON

PROJECT = Path(__file__).resolve().parent.parent.parent
CODE = ("mpa_hil", "rigs", "radios", "tests", "lab_configs", "firmware_notes", "docs")
SINGLE_FILES = ("pyproject.toml", "README.md")
SUFFIXES = {".py", ".toml", ".sh", ".list", ".md", ".lua", ".txt", ".pcap", ".json", ".typed"}
OUT = "/run/out"
COMPILES = f"{sys.version_info.major}.{sys.version_info.minor}" == GUEST_PYTHON
"""Whether this Python's bytecode is the guest's: compiling there costs a second of its time."""
CACHE_TAG = sys.implementation.cache_tag
_UNCHECKED = struct.pack("<I8x", 0b01)
"""Flags and source hash of a .pyc that is never compared with its source (PEP 552)."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run in the guest, from the top of the code.

    Attributes:
        argv: the command; `python3` finds the project's packages and its dependencies.
        env: added to the environment.
        files: path below the code -> content, for what the caller brings along.
        serve: also answer `rigs.guest.remote` while the command runs.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    serve: bool = False


def pack(job: Job) -> bytes:
    """The archive to lay behind the loader's."""
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
    for path in _code():
        place = path.relative_to(PROJECT)
        archive.file(f"payload/code/{place}", path.read_bytes())
        if path.suffix == ".py" and COMPILES:
            cached = place.parent / "__pycache__" / f"{place.stem}.{CACHE_TAG}.pyc"
            archive.file(f"payload/code/{cached}", _compiled(path))
    for name, content in job.files.items():
        archive.file(f"payload/code/{name}", content)
    return archive.close()


@cache
def _compiled(path: Path) -> bytes:
    """The module as a .pyc, the same for the same source."""
    name = f"/run/payload/code/{path.relative_to(PROJECT)}"
    code = compile(path.read_bytes(), name, "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code)


def _code() -> list[Path]:
    found = [PROJECT / name for name in SINGLE_FILES if (PROJECT / name).is_file()]
    for folder in CODE:
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "__pycache__" not in path.parts:
                found.append(path)
    return found
