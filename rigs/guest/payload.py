"""What a run brings into the guest: the project's code and the job, as an initramfs part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import cpio

PROJECT = Path(__file__).resolve().parent.parent.parent
CODE = ("mpa_hil", "rigs", "radios", "tests", "lab_configs", "firmware_notes", "docs")
SINGLE_FILES = ("pyproject.toml", "README.md")
SUFFIXES = {".py", ".toml", ".sh", ".list", ".md", ".lua", ".txt", ".pcap", ".json", ".typed"}
OUT = "/run/out"


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
        archive.file(f"payload/code/{path.relative_to(PROJECT)}", path.read_bytes())
    for name, content in job.files.items():
        archive.file(f"payload/code/{name}", content)
    return archive.close()


def _code() -> list[Path]:
    found = [PROJECT / name for name in SINGLE_FILES if (PROJECT / name).is_file()]
    for folder in CODE:
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "__pycache__" not in path.parts:
                found.append(path)
    return found
