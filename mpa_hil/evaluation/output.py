"""Files of a run's folder, each there as a whole or not at all: written aside, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from radios.errors import MachineError

_UNFINISHED = ".{}.part"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes its name when the block ends well and goes when it fails.

    Raises:
        MachineError: it cannot be written.
    """
    aside = path.with_name(_UNFINISHED.format(path.name))
    try:
        with aside.open("wb") as out:
            yield out
        aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises:
        MachineError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def copy_secret(source: Path, target: Path) -> None:
    """Copy a file that only its owner may read; none there is fine.

    Raises:
        MachineError: it cannot be written.
    """
    if not source.is_file() or source.is_symlink():
        return
    with replacing(target) as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(source.read_bytes())


def copy_logs(folders: dict[str, Path], target: Path) -> None:
    """Copy the plain files of each folder into `target`/NAME, all of them or nothing.

    Folders that are not there are passed over. What `target` held before is replaced; with nothing
    to copy it is not made. Symbolic links are not followed: who wrote the logs is not trusted.

    Raises:
        MachineError: they cannot be written, or not be read.
    """
    aside = target.with_name(_UNFINISHED.format(target.name))
    try:
        shutil.rmtree(aside, ignore_errors=True)
        for name, folder in folders.items():
            for path in _plain_files(folder):
                copy = aside / name / path.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy, follow_symlinks=False)
        shutil.rmtree(target, ignore_errors=True)
        if aside.exists():
            aside.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _plain_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _unwritable(path: Path, error: OSError) -> MachineError:
    return MachineError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        remedy="see that the folder is yours and its disk has space",
    )
