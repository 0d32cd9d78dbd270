"""Where the one lab that a user may leave standing is kept track of.

A folder of the user's own (mode 0700)::

    lock            held, by flock, for as long as somebody puts up or keeps the lab
    record.json     what stands there (`Record`)
    request.json    what the lab was built from; secrets included
    exec            socket for commands in the guest (`rigs.guest.switchboard`)
    guest/          the guest's private files
    keeper.log      what keeper and lab printed
    last_words      why a lab ended that nobody took down

A lock that can be had beside a record means that its keeper died: what lies there is stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from radios.errors import MachineError

FALLBACK = Path("/tmp")
RUNTIME = Path("/run/user")
NAME = "mpa-hil"
_SOCKET_PATH_LIMIT = 107
"""Octets of a Unix socket's path (unix(7), sun_path)."""
_LONGEST_SOCKET = "guest/exec"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The lab that stands, or is being put up.

    Attributes:
        pid: the process that answers for it: `lab up` at first, then the keeper.
        lab: the lab's name.
        file: the lab file, absolute.
        lab_id: marks what belongs to it on its machine.
        accelerator: what runs the guest; empty on the host.
        epoch: where a virtual calendar starts; empty: where it always does.
        ready: it is up.
        hosts: its boxes, once it is up.
        trouble: what went wrong since; the lab stands nevertheless.
    """

    pid: int
    lab: str
    file: str
    rig: str
    clock: str
    lab_id: str
    accelerator: str = ""
    epoch: str = ""
    ready: bool = False
    hosts: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder; see the module's text for what lies in it."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def request(self) -> Path:
        return self.folder / "request.json"

    @property
    def exec_socket(self) -> Path:
        return self.folder / "exec"

    @property
    def guest(self) -> Path:
        return self.folder / "guest"

    @property
    def log(self) -> Path:
        return self.folder / "keeper.log"

    @property
    def _record(self) -> Path:
        return self.folder / "record.json"

    @property
    def _last_words(self) -> Path:
        return self.folder / "last_words"

    def claim(self) -> int | None:
        """Take the lock: its descriptor, or None while somebody holds it. Makes the folder.

        Raises:
            MachineError: the folder cannot be made, or is somebody else's.
        """
        while True:
            make_private(self.folder)
            try:
                descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:
                continue  # `remove` came between
            except OSError as error:
                raise _unusable(self.folder, error.strerror or str(error)) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            # `remove` may have unlinked the file between its opening and its locking.
            if self.holds(descriptor):
                return descriptor
            os.close(descriptor)

    def holds(self, descriptor: int) -> bool:
        """Whether this descriptor is of the lock that lies there now."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.stat(self.lock), os.fstat(descriptor))
        return False

    def taken(self) -> bool:
        """Whether somebody holds the lock. Makes nothing."""
        if not self.lock.exists():
            return False
        descriptor = self.claim()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def read(self) -> Record | None:
        """What stands here by its record, which may be stale."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._record.read_bytes(), type=Record)
        return None

    def write(self, record: Record) -> None:
        """Replace the record, in one step for readers."""
        new = self._record.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(record))
        new.replace(self._record)

    def last_words(self) -> str:
        """Why the last lab ended by itself; empty when it did not."""
        with contextlib.suppress(OSError):
            return self._last_words.read_text()
        return ""

    def leave_last_words(self, text: str) -> None:
        """Tell whoever asks next why the lab is gone."""
        self._last_words.write_text(text)

    def clear(self) -> None:
        """Remove everything but the lock. Only for who holds it."""
        for path in self.folder.iterdir():
            if path == self.lock:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it. Only for who holds the lock."""
        self.clear()
        self.lock.unlink(missing_ok=True)
        # From here on another may have claimed it anew.
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def place(environment: Mapping[str, str] | None = None) -> Place:
    """The user's place: in ``$XDG_RUNTIME_DIR``, else /run/user/UID, else /tmp. Makes nothing."""
    environment = os.environ if environment is None else environment
    user = os.geteuid()
    candidates = [RUNTIME / str(user)]
    if chosen := environment.get("XDG_RUNTIME_DIR"):
        candidates.insert(0, Path(chosen))
    for base in candidates:
        if _is_own_folder(base) and _sockets_fit(base / NAME):
            return Place(base / NAME)
    return Place(FALLBACK / f"{NAME}-{user}")


def make_private(folder: Path) -> None:
    """Make a folder that nobody else can look into, or make sure that it is one.

    Raises:
        MachineError: it cannot be made, or somebody else could have put something there.
    """
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise _unusable(folder, "not a folder")
    if found.st_uid != os.geteuid():
        raise _unusable(folder, f"belongs to user {found.st_uid}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise _unusable(folder, "others may enter it")


def _unusable(folder: Path, why: str) -> MachineError:
    return MachineError(
        f"no place to keep a lab's state: {why}",
        where=str(folder),
        remedy="remove it, or set XDG_RUNTIME_DIR to a folder of your own",
    )


def _is_own_folder(path: Path) -> bool:
    with contextlib.suppress(OSError):
        found = path.stat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return False


def _sockets_fit(folder: Path) -> bool:
    return len(os.fsencode(folder / _LONGEST_SOCKET)) <= _SOCKET_PATH_LIMIT
