"""A handover tunnel's messages, read back by pyroute2 (encoders that somebody else wrote)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from mpa_hil.kernel import filters, wireguard
from mpa_hil.kernel.devices import (
    Encapsulation,
    HoldPair,
    WireGuardDevice,
    without_addresses,
)
from mpa_hil.kernel.filters import Match
from mpa_hil.kernel.scheduling import as_others
from mpa_hil.kernel.tunnel_plan import Esp, Plain, TunnelPlan, WireGuard, tunnel_mtu
from mpa_hil.kernel.xfrm import REQUEST_ID, EspPair

ROUTER, NODE = ip_address("192.0.2.1"), ip_address("198.51.100.7")
ROUTER6, NODE6 = ip_address("2001:db8::1"), ip_address("2001:db8:1::7")
INNER, INNER6 = ip_address("203.0.113.7"), ip_address("2001:db8:2::7")
KEYS = Esp(0x100, 0x200, bytes(range(20)), bytes(range(20, 40)))
LO = 1


def parse(kind: type[Any], octets: bytes) -> Any:
    parsed = kind(octets)
    parsed.decode()
    return parsed


def split(messages: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each."""
    while messages:
        length, kind = struct.unpack_from("=IH", messages)
        yield kind, messages[16:length]
        messages = messages[length:]


@pytest.mark.parametrize(
    ("outer", "versions", "kind", "protocol"),
    [
        (4, {4}, "ipip", 4),
        (4, {6}, "sit", 41),
        (4, {4, 6}, "sit", 0),
        (6, {6}, "ip6tnl", 41),
        (6, {4}, "ip6tnl", 4),
        (6, {4, 6}, "ip6tnl", 0),
    ],
)
def test_encapsulation(outer: int, versions: set[int], kind: str, protocol: int) -> None:
    local, remote = (ROUTER, NODE) if outer == 4 else (ROUTER6, NODE6)
    device = Encapsulation("mpat1", local, remote, frozenset(versions), 1480)
    create = parse(ifinfmsg, device.create())
    assert create.get("IFLA_IFNAME") == "mpat1"
    assert create.get("IFLA_MTU") == 1480
    assert create["flags"] == 0, "it comes up when it is guarded"
    assert create.get(("IFLA_LINKINFO", "IFLA_INFO_KIND")) == kind
    (data,) = (value for kind, value in _raw_info(device.create()) if kind == 2)
    found = dict(_walk(data))
    assert (found[2], found[3]) == (local.packed, remote.packed)
    assert found[9] == bytes((protocol,))
    if outer == 4:
        assert found[10] == b"\0", "Don't Fragment outside as inside"
    else:
        assert struct.unpack("=I", found[8])[0] & 1, "no encapsulation limit option: 8 octets less"


def _walk(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        length, kind = struct.unpack_from("=HH", octets)
        yield kind & 0x3FFF, octets[4:length]
        octets = octets[length + 3 & ~3 :]


def _raw_info(link: bytes) -> list[tuple[int, bytes]]:
    (info,) = (value for kind, value in _walk(link[32:]) if kind == 18)
    return list(_walk(info))


def test_hold_pair() -> None:
    mac = bytes.fromhex("020000000001")
    create = parse(ifinfmsg, HoldPair("mpaq1", "mpar1", mac, 1400).create())
    assert create.get("IFLA_ADDRESS") == "02:00:00:00:00:01"
    assert create.get("IFLA_NUM_TX_QUEUES") == 1, "a plug as root wants a device with one queue"
    peer = create.get(("IFLA_LINKINFO", "IFLA_INFO_DATA", "VETH_INFO_PEER"))
    assert peer.get("IFLA_IFNAME") == "mpar1"
    assert peer.get("IFLA_MTU") is None


def test_no_addresses_of_its_own() -> None:
    ((_, body),) = split(without_addresses("mpaq1"))
    (spec,) = (value for kind, value in _walk(body[16:]) if kind == 26)
    assert list(_walk(spec)) == [(10, struct.pack("=HHBxxx", 5, 8, 1))]


def test_send_on_is_replaced_in_place() -> None:
    one, other = filters.send_on(LO, 7), filters.send_on(LO, 8)
    for octets, device in ((one, 7), (other, 8)):
        told = parse(tcmsg, octets)
        assert told["header"]["flags"] == 0x505, "CREATE and REPLACE"
        assert told["handle"] == 0x80000800
        assert told["parent"] == 0xFFFFFFF2
        assert told.get("TCA_KIND") == "u32"
        action = told.get(("TCA_OPTIONS", "TCA_U32_ACT", "TCA_ACT_PRIO_1"))
        assert action.get("TCA_ACT_KIND") == "mirred"
        parameters = action.get(("TCA_ACT_OPTIONS", "TCA_MIRRED_PARMS"))
        assert (parameters["eaction"], parameters["ifindex"]) == (1, device)
        assert parameters["action"] == 4, "stolen"
    both = parse(tcmsg, filters.send_on(LO, 7, copy_to=8))
    copy = both.get(("TCA_OPTIONS", "TCA_U32_ACT", "TCA_ACT_PRIO_1"))
    parameters = copy.get(("TCA_ACT_OPTIONS", "TCA_MIRRED_PARMS"))
    assert (parameters["eaction"], parameters["ifindex"], parameters["action"]) == (2, 8, 3)


def test_verdicts() -> None:
    octets = filters.verdict(LO, 3, Match(6, source=INNER6, mark=9), passes=True)
    told = parse(tcmsg, octets)
    assert told["info"] == 3 << 16 | struct.unpack("=H", b"\x86\xdd")[0]
    (options,) = (value for kind, value in _walk(octets[36:]) if kind == 2)
    found = dict(_walk(options))
    assert (found[5][0], found[5][2]) == (1, 4), "terminal, four keys"
    keys = list(struct.iter_unpack("=4s4sii", found[5][16:]))
    assert b"".join(value for _, value, _, _ in keys) == INNER6.packed
    assert [at for _, _, at, _ in keys] == [8, 12, 16, 20], "the source address"
    assert struct.unpack("=III", found[10]) == (9, 0xFFFFFFFF, 0)
    last = parse(tcmsg, filters.verdict(LO, 100, Match(), passes=False))
    action = last.get(("TCA_OPTIONS", "TCA_U32_ACT", "TCA_ACT_PRIO_1"))
    assert action.get("TCA_ACT_KIND") == "gact"
    assert action.get(("TCA_ACT_OPTIONS", "TCA_GACT_PARMS"))["action"] == 2, "shot"


@pytest.mark.parametrize(("local", "remote"), [(ROUTER, NODE), (ROUTER6, NODE6)])
def test_esp(local: Any, remote: Any) -> None:
    """Against the structures of linux/xfrm.h, written out here once more by offsets."""
    messages, count = EspPair(local, remote, (4, 41), KEYS, mark=77).create()
    told = list(split(messages))
    assert [kind for kind, _ in told] == [0x13] * 4 + [0x10] * 2
    assert len(told) == count
    for (_, body), (direction, proto) in zip(
        told, ((0, 4), (0, 41), (1, 4), (1, 41)), strict=False
    ):
        source, destination = (remote, local) if direction == 0 else (local, remote)
        assert body[: len(destination.packed)] == destination.packed
        assert body[16 : 16 + len(source.packed)] == source.packed
        assert body[44] == proto
        assert (body[42], body[43]) == (source.max_prefixlen,) * 2
        assert (body[160], body[161]) == (direction, 0), "allowed, if it is protected"
        ((kind, template),) = _walk(body[168:])
        assert (kind, len(template)) == (5, 64)
        spi = KEYS.spi_in if direction == 0 else KEYS.spi_out
        assert struct.unpack_from("!IB", template, 16) == (spi, 50)
        assert struct.unpack_from("=IBBB", template, 44) == (REQUEST_ID, 0, 0, 0)
    for (_, body), (spi, key, to) in zip(
        told[4:], ((0x100, KEYS.key_in, local), (0x200, KEYS.key_out, remote)), strict=True
    ):
        assert body[56 : 56 + len(to.packed)] == to.packed
        assert struct.unpack_from("!IB", body, 72) == (spi, 50)
        assert struct.unpack_from("=I", body, 208) == (REQUEST_ID,)
        assert body[214:217] == b"\0\0\x80", "transport mode, extended sequence numbers"
        found = dict(_walk(body[224:]))
        assert found[18].startswith(b"rfc4106(gcm(aes))\0")
        assert struct.unpack_from("=II", found[18], 64) == (160, 128)
        assert found[18][72:] == key
        assert struct.unpack("=6I32x", found[23]) == (8, 0, 0, 0, 0, 256)
        assert found.get(29) == (struct.pack("=I", 77) if spi == 0x100 else None)


def test_keys_that_will_not_do() -> None:
    for spi_in, key_in in ((255, bytes(20)), (256, bytes(19)), (256, KEYS.key_out)):
        with pytest.raises(ValueError, match=r"SPI|octets|direction"):
            Esp(spi_in, 0x200, key_in, KEYS.key_out)
    with pytest.raises(ValueError, match="32 octets"):
        WireGuard(bytes(32), bytes(31), bytes(32), 0, 1)


def test_secrets_are_not_shown() -> None:
    secret = os.urandom(32)
    shown = repr(WireGuard(secret, bytes(32), secret, 0, 1)) + repr(
        TunnelPlan("mpat1", ROUTER, NODE, (INNER,), KEYS)
    )
    assert repr(secret)[2:12] not in shown
    assert repr(KEYS.key_in)[2:10] not in shown


def test_wireguard() -> None:
    keys = WireGuard(b"\1" * 32, b"\2" * 32, b"\3" * 32, 1000, 2000, keepalive_s=25)
    allowed = [ip_network("0.0.0.0/0"), ip_network("2001:db8::/32")]
    body = wireguard.device_request("mpat1", keys, NODE, allowed)
    assert body[:4] == b"\1\1\0\0"
    device = dict(_walk(body[4:]))
    assert (device[2], device[3], device[6]) == (b"mpat1\0", b"\1" * 32, struct.pack("=H", 1000))
    ((_, peer),) = _walk(device[8])
    found = dict(_walk(peer))
    assert (found[1], found[2]) == (b"\2" * 32, b"\3" * 32)
    assert found[4] == struct.pack("=H", 2) + struct.pack("!H", 2000) + NODE.packed + bytes(8)
    assert found[5] == struct.pack("=H", 25)
    networks = [dict(_walk(each)) for _, each in _walk(found[9])]
    assert [network[3] for network in networks] == [b"\0", b"\x20"]
    assert [struct.unpack("=H", network[1])[0] for network in networks] == [2, 10]
    update = dict(_walk(wireguard.device_update("mpat1", keys, NODE6)[4:]))
    ((_, peer),) = _walk(update[8])
    found = dict(_walk(peer))
    assert set(update) == {2, 8}, "nothing else changes"
    assert struct.unpack("=I", found[3]) == (4,), "a peer that is there"
    assert found[4][:4] == struct.pack("=H", 10) + struct.pack("!H", 2000)
    device_message = parse(ifinfmsg, WireGuardDevice("mpat1", 1420).create())
    assert device_message.get(("IFLA_LINKINFO", "IFLA_INFO_KIND")) == "wireguard"


@pytest.mark.parametrize(
    ("version", "protection", "mtu"),
    [
        (4, Plain(), 1480),
        (6, Plain(), 1460),
        (4, KEYS, 1446),
        (6, KEYS, 1426),
        (4, WireGuard(bytes(32), bytes(32), bytes(32), 0, 1), 1440),
        (6, WireGuard(bytes(32), bytes(32), bytes(32), 0, 1), 1420),
    ],
)
def test_mtu(version: int, protection: Any, mtu: int) -> None:
    """20 or 40 octets less; with ESP what the padding leaves; with WireGuard 60 or 80."""
    assert tunnel_mtu(version, protection) == mtu


@pytest.mark.parametrize(
    ("name", "remote", "inner"),
    [
        ("tun0", NODE, (INNER,)),
        ("mpaq1", NODE, (INNER,)),
        ("mpat0123456789ab", NODE, (INNER,)),
        ("mpat1", NODE6, (INNER,)),
        ("mpat1", NODE, ()),
        ("mpat1", NODE, (INNER, ROUTER)),
    ],
)
def test_plans_that_will_not_do(name: str, remote: Any, inner: Any) -> None:
    with pytest.raises(ValueError, match=r"tunnel name|family|each"):
        TunnelPlan(name, ROUTER, remote, inner)


def test_names() -> None:
    plan = TunnelPlan("mpat0a020007", ROUTER, NODE, (INNER, INNER6))
    assert (plan.hold_device, plan.hold_exit) == ("mpaq0a020007", "mpar0a020007")
    assert plan.versions == {4, 6}


@pytest.mark.parametrize("policy", [os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.SCHED_OTHER])
def test_a_file_that_spins_until_it_is_free_is_written_without_priority(
    policy: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that runs in real time would keep whoever has the kernel's lock off the processor
    for ever."""
    now, changes = [policy], []

    def change(pid: int, to: int, parameter: os.sched_param) -> None:
        now[0] = to
        changes.append((to, parameter.sched_priority))

    own = os.sched_param(12 if policy != os.SCHED_OTHER else 0)
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: now[0])
    monkeypatch.setattr(os, "sched_getparam", lambda pid: own)
    monkeypatch.setattr(os, "sched_setscheduler", change)
    with as_others():
        assert now == [os.SCHED_OTHER]
    assert now == [policy]
    assert changes == ([] if policy == os.SCHED_OTHER else [(os.SCHED_OTHER, 0), (policy, 12)])
