"""How MN-CA and MN-AR keys get from the process that derives them to the one that moves the node.

Both run on the mobile node. `preauthentication` is the one that holds the MPA-SA; `mobile_node`
speaks with the configuration agent and the access router. A private Unix socket between them, in a
folder of the node's own, is the only way: keys are neither in events nor in commands nor in files.

One datagram, JSON: {realm, keys: [{usage, address, name, secret, session_id, key_id}], expires_ns};
octets as hexadecimal digits, `expires_ns` of CLOCK_MONOTONIC. No keys: those of the realm are over.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from mpa_hil.discovery.description import CandidateNetwork
from mpa_hil.errors import MachineError
from mpa_hil.keys import Key, MasterKey, Usage, address_identifier
from mpa_hil.mobility.interface import Address
from mpa_hil.pana.interface import PanaSession

_RECEIVE_OCTETS = 1 << 16


@dataclass(frozen=True, slots=True)
class AgentKeys:
    """The keys towards one network's agents, by the agents' addresses."""

    realm: str
    expires_ns: int
    """CLOCK_MONOTONIC; the end of the MPA-SA."""
    ca: dict[Address, Key] = field(repr=False)
    ar: dict[Address, Key] = field(repr=False)


def derive(session: PanaSession | None, network: CandidateNetwork) -> AgentKeys | None:
    """The keys towards all agents of a network, while there is an MPA-SA with it (R14, R19)."""
    if session is None:
        return None
    master = MasterKey(session.sa, network.realm)
    return AgentKeys(
        network.realm,
        session.expires_ns,
        {agent.address: master.mn_ca(agent.address) for agent in network.ca},
        {agent.address: master.mn_ar(agent.address) for agent in network.ar},
    )


def encode(realm: str, keys: AgentKeys | None) -> bytes:
    """The datagram; None: the keys of the realm are over."""
    listed = []
    if keys is not None:
        for address, key in (*keys.ca.items(), *keys.ar.items()):
            told = {"usage": int(key.usage), "address": str(address), "name": key.name.hex()}
            numbers = {"session_id": key.session_id, "key_id": key.key_id}
            listed.append({**told, **numbers, "secret": key.secret.hex()})
    expires_ns = keys.expires_ns if keys is not None else 0
    return json.dumps({"realm": realm, "keys": listed, "expires_ns": expires_ns}).encode()


def decode(datagram: bytes) -> tuple[str, AgentKeys | None]:
    """The realm that a datagram is about, and its keys or None.

    Raises:
        ValueError: it is none of ours.
        KeyError: the same.
    """
    told = json.loads(datagram)
    realm, expires_ns = str(told["realm"]), int(told["expires_ns"])
    keys = AgentKeys(realm, expires_ns, {}, {})
    for each in told["keys"]:
        address, usage = ip_address(each["address"]), Usage(each["usage"])
        key = Key(
            usage,
            bytes.fromhex(each["name"]),
            bytes.fromhex(each["secret"]),
            int(each["session_id"]),
            int(each["key_id"]),
            address_identifier(address),
        )
        (keys.ca if usage is Usage.MN_CA else keys.ar)[address] = key
    return realm, keys if keys.ca or keys.ar else None


class KeyRing:
    """The end that uses keys: what it was handed, by realm.

    Args:
        path: of the socket; nobody else may reach it.
        on_change: called with a realm whose keys came, changed or went.

    Raises:
        MachineError: the socket cannot be made.
    """

    def __init__(self, path: str, on_change: Callable[[str], None]) -> None:
        self.keys: dict[str, AgentKeys] = {}
        self._path = path
        self._on_change = on_change
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        before = os.umask(0o177)
        try:
            self.socket.bind(path)
        except OSError as error:
            self.socket.close()
            raise MachineError(f"no socket there: {error.strerror}", where=path) from error
        finally:
            os.umask(before)

    def receive(self) -> None:
        """Take what has come; whatever is no message of ours is dropped."""
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram = self.socket.recv(_RECEIVE_OCTETS)
                try:
                    realm, keys = decode(datagram)
                except (ValueError, KeyError, TypeError):
                    continue
                if keys is None:
                    self.keys.pop(realm, None)
                else:
                    self.keys[realm] = keys
                self._on_change(realm)

    def close(self) -> None:
        """Forget everything, and take the socket away."""
        self.keys.clear()
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


class KeyHandover:
    """The end that derives keys; without a path it hands nothing over."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def give(self, realm: str, keys: AgentKeys | None) -> str:
        """Hand keys over, or (None) say that they are over; why not, or an empty text."""
        if not self._path:
            return ""
        try:
            self._socket.sendto(encode(realm, keys), self._path)
        except OSError as error:
            return f"the keys of {realm} were not handed over: {error.strerror}"
        return ""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
