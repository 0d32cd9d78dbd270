"""Keys from the process that derives them to the one that uses them: codec and socket."""

from __future__ import annotations

import os
import stat
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from mpa_hil.agents.keyring import AgentKeys, KeyHandover, KeyRing, decode, encode
from mpa_hil.errors import MachineError
from mpa_hil.keys import Key, Usage, address_identifier

CA, AR, AR6 = IPv4Address("10.2.0.1"), IPv4Address("10.2.0.2"), IPv6Address("2001:db8:2::1")
REALM = "b.example"


def key(usage: Usage, address: IPv4Address | IPv6Address) -> Key:
    return Key(usage, os.urandom(20), os.urandom(64), 7, 1, address_identifier(address))


def keys() -> AgentKeys:
    routers: dict[IPv4Address | IPv6Address, Key] = {
        address: key(Usage.MN_AR, address) for address in (AR, AR6)
    }
    return AgentKeys(REALM, 10**12, {CA: key(Usage.MN_CA, CA)}, routers)


def test_what_is_given_is_what_comes(tmp_path: Path) -> None:
    changed: list[str] = []
    path = str(tmp_path / "keyring")
    ring, giver, given = KeyRing(path, changed.append), KeyHandover(path), keys()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert giver.give(REALM, given) == ""
    ring.receive()
    assert ring.keys == {REALM: given}
    assert giver.give(REALM, None) == ""
    ring.receive()
    assert ring.keys == {}
    assert changed == [REALM, REALM]
    ring.close()
    assert not os.path.exists(path)
    assert "not handed over" in giver.give(REALM, given)
    giver.close()


def test_nothing_is_given_without_a_path() -> None:
    giver = KeyHandover("")
    assert giver.give(REALM, keys()) == ""
    giver.close()


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "keyring")
    first = KeyRing(path, print)
    first.socket.close()
    KeyRing(path, print).close()
    with pytest.raises(MachineError, match="no socket"):
        KeyRing(str(tmp_path / "nowhere" / "keyring"), print)


def test_garbage_changes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "keyring")
    ring, giver = KeyRing(path, print), KeyHandover(path)
    giver.give(REALM, keys())
    held = encode(REALM, keys())
    for garbage in (b"", b"[]", b"{}", held[:-5], held.replace(b'"usage": 1', b'"usage": 9')):
        giver._socket.sendto(garbage, path)
    ring.receive()
    assert list(ring.keys) == [REALM]
    ring.close()
    giver.close()


def test_no_key_shows() -> None:
    given = keys()
    assert given.ca[CA].secret.hex() not in repr(given)
    assert decode(encode(REALM, given)) == (REALM, given)
