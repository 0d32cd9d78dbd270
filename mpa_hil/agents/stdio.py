"""An agent's conversation with its controller, and the frame that every agent's `main` stands in.

Events go to standard output, a JSON object a line (`docs/events.md`); commands come on standard
input in the same form, `{"cmd": NAME, ...}`. Errors that end the agent are an event and a line on
standard error, and the exit status is the error's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path

from radios.errors import LocalError, MpaError

_CHUNK_OCTETS = 65536
_LINE_LIMIT = 1 << 20
"""Octets; a longer command line is no command."""

Json = dict[str, object]
Later = Callable[[Callable[[], None]], object]
_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode


class Console:
    """Standard input and output of an agent.

    Args:
        agent: its name in the events.
        host: the box's name in the events.
    """

    def __init__(self, agent: str, host: str) -> None:
        self._who = f',"host":{_encode(host)},"agent":{_encode(agent)},"type":'
        self._rest = b""
        self._lines: list[bytes] = []
        self._later: Later | None = None
        self.closed = False
        """The controller is gone: standard input ended, or nobody reads standard output."""

    def emit(self, kind: str, t_ns: int | None = None, **fields: object) -> None:
        """Write one event.

        Args:
            kind: its type.
            t_ns: CLOCK_MONOTONIC of what happened; default: now.
            fields: the rest; what is not a number, text, list or truth value is written as text.
        """
        stamp = time.monotonic_ns() if t_ns is None else t_ns
        parts = [f'{{"t_ns":{stamp}{self._who}"{kind}"']
        for name, value in fields.items():  # names are Python's: nothing in them to escape
            parts.append(f',"{name}":{_told(value)}')
        parts.append("}")
        if self._later is not None and not self._lines:
            self._later(self._flush)
        self._lines.append("".join(parts).encode())
        if self._later is None:
            self._flush()

    def collect(self, later: Later | None) -> None:
        """Write the events that come within one round of an event loop in one go, from now on.

        Args:
            later: calls what it is given when the round is over (`call_soon`); None: write each
                at once, as before, and what was collected now.
        """
        self._later = later
        self._flush()

    def _flush(self) -> None:
        text = b"".join([line + b"\n" for line in self._lines])
        self._lines.clear()
        try:
            while text:
                text = text[os.write(sys.stdout.fileno(), text) :]
        except BrokenPipeError:
            self.closed = True

    def commands(self) -> Iterator[Json]:
        """Read what is there (call it when standard input is readable): the commands in it.

        A line that is no command is answered, in its turn, with an `agent.refused` event. Look at
        `closed` after the last one.
        """
        octets = os.read(sys.stdin.fileno(), _CHUNK_OCTETS)
        self.closed = self.closed or not octets
        *lines, self._rest = (self._rest + octets).split(b"\n")
        if len(self._rest) > _LINE_LIMIT:
            self._rest = b""
        for line in lines:
            command = self._command(line)
            if command is not None:
                yield command

    def refuse(self, command: object, reason: str) -> None:
        """Say that a command was not carried out."""
        self.emit("agent.refused", command=str(command)[:200], reason=reason)

    def _command(self, line: bytes) -> Json | None:
        if not line.strip():
            return None
        try:
            command = json.loads(line)
        except ValueError:  # both of bad JSON and of bad UTF-8
            command = None
        if isinstance(command, dict) and isinstance(command.get("cmd"), str):
            return command
        self.refuse(line.decode(errors="replace"), 'not a JSON object with a text "cmd"')
        return None


def _told(value: object) -> str:
    """A value as JSON; numbers without the encoder's ado, because an agent writes many."""
    kind = type(value)
    if kind is int:
        return repr(value)
    if isinstance(value, float) and isfinite(value):
        return repr(value)
    if kind is bool:
        return "true" if value else "false"
    return _encode(value)


def read_config(path: str) -> Json:
    """The JSON object in a configuration file.

    Raises:
        LocalError: the file cannot be read, or holds something else.
    """
    try:
        config = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise LocalError(f"it cannot be read: {error.strerror}", where=path) from error
    except ValueError as error:
        raise LocalError(f"it is not JSON: {error}", where=path) from error
    if not isinstance(config, dict):
        raise LocalError("it does not hold a JSON object", where=path)
    return config


def main(agent: str, serve: Callable[[Json, Console], None]) -> None:
    """Read the configuration named on the command line and serve; exits the process.

    Args:
        agent: the module's name, for usage and events.
        serve: returns when the agent is told to end.
    """
    if len(sys.argv) != 2:
        print(f"usage: python3 -m mpa_hil.agents.{agent} CONFIG.json", file=sys.stderr)
        raise SystemExit(LocalError.exit_code)
    console = Console(agent, "?")
    try:
        config = read_config(sys.argv[1])
        console = Console(agent, str(config.get("host") or "?"))
        serve(config, console)
        console.emit("agent.stopped")
    except MpaError as error:
        console.emit("agent.failed", error=error.what, where=error.where, remedy=error.remedy)
        print(f"{agent}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
