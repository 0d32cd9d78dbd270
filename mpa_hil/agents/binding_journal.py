"""The file in which a home agent keeps its bindings, so that one that was killed goes on.

A line is a JSON array of home address, record, and whose clocks the record's times are of
(`clock.Origin`); the last line for a home address counts. A line is handed to the kernel before the
answer that follows from it is sent. The file is its owner's alone (mode 0600) and is made anew, in
one step, at each start and when it has grown.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping

from mpa_hil import clock
from mpa_hil.clock import Origin
from mpa_hil.mobility.interface import Instant
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
        self._origins: dict[str, Origin] = {}
        self._lines = 0
        self._descriptor = -1
        try:
            self.records: dict[str, Mapping[str, object]] = {}
            for home, record, origin in _read(path):
                self.records[home], self._origins[home] = record, origin
            self._renew()
        except OSError as error:
            raise LocalError(f"it cannot be used: {error.strerror}", where=path) from error

    def each(self, now: Instant) -> Iterator[tuple[str, Mapping[str, object], Instant]]:
        """What it holds, each with the present by the clocks that it was written by."""
        for home, record in tuple(self.records.items()):
            yield home, record, self._origins[home].read(now)

    def note(self, home: str, record: Mapping[str, object]) -> None:
        """What is true of a home address from now on."""
        self.records[home], self._origins[home] = record, clock.origin()
        if self._lines >= _COMPACT_AT:
            self._renew()
        else:
            os.write(self._descriptor, self._line(home))
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
            text = b"".join(map(self._line, self.records))
            while text:
                text = text[os.write(descriptor, text) :]
            os.replace(fresh, self._path)
        except BaseException:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor, self._lines = descriptor, len(self.records)

    def _line(self, home: str) -> bytes:
        values = (home, self.records[home], *self._origins[home])
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _read(path: str) -> Iterator[tuple[str, Mapping[str, object], Origin]]:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as lines:
        for line in lines:
            try:
                home, record, boot, ahead_ns = json.loads(line)
            except (TypeError, ValueError):
                continue  # cut off when it was written, or damaged: one binding less
            of_clocks = isinstance(boot, str) and isinstance(ahead_ns, int)
            if isinstance(home, str) and isinstance(record, dict) and of_clocks:
                yield home, record, Origin(boot, ahead_ns)
