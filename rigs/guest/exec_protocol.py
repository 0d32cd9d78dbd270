"""What host and guest say to each other on the command port: one JSON object a line (sans-IO).

Every frame carries the id that the asker drew for its command, so that any number of commands
share the port, and what a vanished asker left behind is recognised and dropped:

    host -> guest   {"id", "argv", "env", "cwd", "input"}   start a command; `input`: stdin follows
                    {"id", "stdin": base64 or null}         more of its input; null: its end
                    {"id", "taken": octets}                 output that the asker has dealt with
                    {"id", "cancel": true}                  end it
    guest -> host   {"id", "stdout": base64}, {"id", "stderr": base64}
                    {"id", "taken": octets}                 input that the command has read
                    {"id", "status": number}                it ended; the last frame of its id

No more than `WINDOW` octets of a stream are under way untaken, so one asker that does not read
holds up nobody else. Standard library only: the guest reads this before anything else runs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

CHUNK = 24 << 10
"""Octets of a stream in one frame: in base64 they just fit one write to a virtio port, 32 KiB."""
WINDOW = 256 << 10
"""Octets of a stream under way untaken."""
LINE_LIMIT = 1 << 20
"""A longer line is no frame; the longest honest ones hold a command with its environment."""

Frame = dict[str, Any]


def encode(identity: str, **fields: object) -> bytes:
    """One frame as a line."""
    return json.dumps({"id": identity, **fields}, separators=(",", ":")).encode() + b"\n"


def text(data: bytes) -> str:
    """Octets of a stream as a frame carries them."""
    return base64.b64encode(data).decode()


def octets(value: object) -> bytes:
    """The octets that `text` made a text of; none for anything else."""
    try:
        return base64.b64decode(value) if isinstance(value, str) else b""
    except ValueError:
        return b""


class Frames:
    """Cuts a stream of octets into frames and drops what is none.

    Garbage is expected: the rest of a line whose asker or answerer went away half-way. Whoever
    begins to send therefore sends an empty line first.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these octets complete."""
        self._pending += data
        while (end := self._pending.find(b"\n")) >= 0:
            line = bytes(self._pending[:end])
            del self._pending[: end + 1]
            overlong, self._overlong = self._overlong, False
            frame = None if overlong else _frame(line)
            if frame is not None:
                yield frame
        if len(self._pending) > LINE_LIMIT:
            self._pending.clear()
            self._overlong = True


def _frame(line: bytes) -> Frame | None:
    try:
        frame = json.loads(line)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) and isinstance(frame.get("id"), str) else None
