"""A writer of cpio archives in the kernel's "newc" form (Documentation/driver-api/early-userspace).

The kernel unpacks several archives laid end to end, so the part that never changes (the loader) and
the part that every run brings (the project's code and its job) are made apart and joined.
"""

from __future__ import annotations

import stat
from pathlib import PurePosixPath

_ALIGN = 4
_BLOCK = 512


class Archive:
    """An archive under construction; parents of a path are made when first needed."""

    def __init__(self) -> None:
        self._body = bytearray()
        self._known: set[str] = set()
        self._inode = 0

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory and its parents; adding it again is fine."""
        if path in ("", ".", "/") or path in self._known:
            return
        self._parents(path)
        self._entry(path, stat.S_IFDIR | mode, b"")

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file at `path` (relative to the archive's root)."""
        self._parents(path)
        self._entry(path, stat.S_IFREG | mode, data)

    def close(self) -> bytes:
        """The finished archive, padded so that another may follow it."""
        self._entry("TRAILER!!!", 0, b"")
        self._body.extend(b"\0" * (-len(self._body) % _BLOCK))
        return bytes(self._body)

    def _parents(self, path: str) -> None:
        self.directory(str(PurePosixPath(path).parent))

    def _entry(self, path: str, mode: int, data: bytes) -> None:
        name = path.encode() + b"\0"
        self._known.add(path)
        self._inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        # inode, mode, uid, gid, links, mtime, size, dev major/minor, rdev major/minor, name, check
        fields = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
        self._body.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self._pad()
        self._body.extend(data)
        self._pad()

    def _pad(self) -> None:
        self._body.extend(b"\0" * (-len(self._body) % _ALIGN))
