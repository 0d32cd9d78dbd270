"""The file in which a home agent keeps its bindings, so that one that was killed goes on.

A line is a JSON array of home address and record; the last line for a home address counts. A line
is handed to the kernel before the answer that follows from it is sent. The file is its owner's
alone (mode 0600) and is made anew, in one step, at each start and when it has grown.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping

from radios.errors import LocalError

_COMPACT_AT = 2000
"""Lines."""


class BindingJournal:
    """Reads the file once and then appends to it.

    Attributes:
        records: what it held, by home address.

    Raises:
        LocalError: it cannot be read or written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines = 0
        self._descriptor = -1
        try:
            self.records = dict(_read(path))
            self._renew()
        except OSError as error:
            raise LocalError(f"it cannot be used: {error.strerror}", where=path) from error

    def note(self, home: str, record: Mapping[str, object]) -> None:
        """What is true of a home address from now on."""
        self.records[home] = record
        if self._lines >= _COMPACT_AT:
            self._renew()
        else:
            os.write(self._descriptor, _line(home, record))
            self._lines += 1

    def close(self) -> None:
        """Close the file; safe to repeat."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _renew(self) -> None:
        fresh = f"{self._path}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            text = b"".join(_line(home, record) for home, record in self.records.items())
            while text:
                text = text[os.write(descriptor, text) :]
            os.replace(fresh, self._path)
        except BaseException:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor, self._lines = descriptor, len(self.records)


def _line(home: str, record: Mapping[str, object]) -> bytes:
    return json.dumps((home, record), separators=(",", ":")).encode() + b"\n"


def _read(path: str) -> dict[str, Mapping[str, object]]:
    found: dict[str, Mapping[str, object]] = {}
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as lines:
        for line in lines:
            try:
                home, record = json.loads(line)
            except ValueError:
                continue  # cut off when it was written, or damaged: one binding less
            if isinstance(home, str) and isinstance(record, dict):
                found[home] = record
    return found
