"""The end of `agents.wishes` that carries wishes out, in the pre-authentication process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

from mpa_hil.agents.wishes import COMMANDS, Json, Told, bound_socket, close_socket, datagrams
from mpa_hil.preauthentication import interface as out


def told(output: out.Output) -> Told | None:
    """What an output of the machine says to whoever wished; None: nothing."""
    match output:
        case out.Authenticated():
            trips = max(1, output.traffic.round_trips)
            mean_ns = output.duration_ns // trips
            octets = output.traffic.octets_sent + output.traffic.octets_received
            return Told(output.realm, "authenticated", round_trip_ns=mean_ns, octets=octets)
        case out.Prepared():
            return Told(
                output.realm,
                "prepared",
                total_ns=output.total_ns,
                duration_ns=output.duration_ns,
            )
        case out.Failed():
            return Told(output.realm, "failed", output.reason)
        case out.Ended():
            return Told(output.realm, "ended", output.cause.value)
    return None


class WishBox:
    """The end that carries wishes out; without a path there are none.

    Args:
        on_command: called with each command.
    """

    def __init__(self, path: str, on_command: Callable[[Json], None]) -> None:
        self._path = path
        self._on_command = on_command
        self.socket = bound_socket(path) if path else None

    def receive(self) -> None:
        """Take what has come; whatever is no wish is dropped."""
        for datagram in datagrams(self.socket):
            with contextlib.suppress(ValueError, RecursionError):
                command = json.loads(datagram)
                if isinstance(command, dict) and command.get("cmd") in COMMANDS:
                    self._on_command(command)

    def tell(self, output: out.Output) -> None:
        """Say what became of a wish, if this output says it and anybody listens."""
        said = told(output) if self.socket is not None else None
        if said is None or self.socket is None:
            return
        message = {name: getattr(said, name) for name in Told.__slots__}
        with contextlib.suppress(OSError):  # nobody does
            self.socket.sendto(json.dumps(message).encode(), f"{self._path}.told")

    def close(self) -> None:
        """Take the socket away."""
        close_socket(self.socket, self._path)
