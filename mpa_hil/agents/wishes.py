"""What the process that moves the node wants of the one that pre-authenticates it, and is told.

Both run on the mobile node; a policy decides in `mobile_node` (`agents.pilot`) which networks are
prepared, `preauthentication` does it. Two private Unix sockets in a folder of the node's own:

    PATH          of `preauthentication`: its own commands `prepare` and `forget`
    PATH.told     of `mobile_node`: what became of them, the fields of `Told`

One JSON object a datagram.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from mpa_hil.errors import MachineError

_RECEIVE_OCTETS = 1 << 16
COMMANDS = ("prepare", "forget")
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a wish.

    Attributes:
        what: "authenticated", "prepared", "failed" or "ended".
        round_trip_ns: to the home AAA and back, processing included; 0: not told here.
        total_ns: of the whole preparation.
        duration_ns: of the installation of keys.
        octets: to and from the network's authentication agent (UDP payload).
    """

    realm: str
    what: str
    reason: str = ""
    round_trip_ns: int = 0
    total_ns: int = 0
    duration_ns: int = 0
    octets: int = 0


class Wishes:
    """The end that wishes.

    Args:
        path: of the other end's socket.
        on_told: called with what became of wishes.

    Raises:
        MachineError: the socket cannot be made.
    """

    def __init__(self, path: str, on_told: Callable[[Told], None]) -> None:
        self._path = path
        self._on_told = on_told
        self.socket = bound_socket(f"{path}.told")

    def prepare(self, networks: str, deadline_s: float, hold_s: float) -> str:
        """Have networks (octets of `discovery.wire`, hexadecimal) prepared; "" or why not."""
        times = {"deadline_s": deadline_s, "hold_s": hold_s}
        return self._send({"cmd": "prepare", "networks": networks, **times})

    def forget(self, realm: str) -> str:
        """Have one given up; "" or why not."""
        return self._send({"cmd": "forget", "realm": realm})

    def receive(self) -> None:
        """Take what has come."""
        for datagram in datagrams(self.socket):
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                said = Told(**json.loads(datagram))
                self._on_told(said)

    def close(self) -> None:
        """Take the socket away."""
        close_socket(self.socket, f"{self._path}.told")

    def _send(self, command: Json) -> str:
        try:
            self.socket.sendto(json.dumps(command).encode(), self._path)
        except OSError as error:
            return f"pre-authentication cannot be asked: {error.strerror}"
        return ""


def bound_socket(path: str) -> socket.socket:
    """A socket there that nobody else may reach.

    Raises:
        MachineError: it cannot be made.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o177)
    try:
        bound.bind(path)
    except OSError as error:
        bound.close()
        raise MachineError(f"no socket there: {error.strerror}", where=path) from error
    finally:
        os.umask(before)
    return bound


def datagrams(source: socket.socket | None) -> list[bytes]:
    """What has come to a socket; none there is fine."""
    found: list[bytes] = []
    if source is not None:
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(source.recv(_RECEIVE_OCTETS))
    return found


def close_socket(bound: socket.socket | None, path: str) -> None:
    """Close a socket and take it away; none there is fine."""
    if bound is not None:
        bound.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
