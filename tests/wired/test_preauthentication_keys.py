"""Keys into a real wpa_supplicant and out of it again, one by one (no radio: `-Dwired`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from services_lab import boxes, needs

from mpa_hil.agents.preauth_keys import SupplicantKeys
from mpa_hil.discovery.description import Akm, PointOfAttachment
from mpa_hil.preauthentication.interface import PointKey
from radios.control import ControlClient
from radios.profile import EapTls, NetworkProfile, Passphrase, Pmf
from radios.supplicant import AKM_8021X, AKM_8021X_SHA256, MAX_PMKSA, Supplicant
from rigs.links import Link
from rigs.services import wpa_supplicant

pytestmark = needs("wpa_supplicant")

SUPPLICANT = wpa_supplicant.SupplicantConfig(interface="eth0", driver="wired")
EAP = EapTls("mn@home.example", "/no/ca", "/no/cert", "/no/key", "home.example")


def point(ssid: str, number: int, akms: tuple[Akm, ...] = ()) -> PointOfAttachment:
    return PointOfAttachment(
        f"ap{number}", ssid.encode(), f"02:00:00:00:0c:{number:02x}", 2412, akms
    )


def key(where: PointOfAttachment, fill: int = 0) -> PointKey:
    number = int(where.bssid[-2:], 16) + fill
    return PointKey(where, bytes((number,)) * 16, bytes((number,)) * 32)


def with_supplicant(scenario: Callable[[Supplicant], Awaitable[None]]) -> None:
    async def run() -> None:
        async with boxes(Link("mn", "ap", a_interface="eth0", b_interface="port0")) as hosts:
            await wpa_supplicant.start(hosts["mn"], SUPPLICANT)
            path = SUPPLICANT.control_path(hosts["mn"])
            async with ControlClient(path, hosts["mn"].connect) as control:
                await scenario(Supplicant(control))

    asyncio.run(run())


async def cached(supplicant: Supplicant) -> dict[str, int]:
    """First octet of the PMKID by BSSID."""
    return {entry.peer: entry.pmkid[0] for entry in await supplicant.pmksa()}


async def lines(supplicant: Supplicant, network_id: int) -> list[list[str]]:
    reply = await supplicant.control.request("PMKSA_GET", network_id)
    return [line.split() for line in reply.split("\n") if line]


def test_a_key_goes_to_the_network_that_will_join_its_access_point() -> None:
    async def scenario(supplicant: Supplicant) -> None:
        own = point("b", 1)
        await supplicant.add_network(NetworkProfile(b"b", Passphrase("no enterprise")))
        anywhere = await supplicant.add_network(NetworkProfile(b"b", EAP))
        exact = await supplicant.add_network(NetworkProfile(b"b", EAP, bssid=own.bssid))
        await supplicant.add_network(NetworkProfile(b"c", EAP))
        keys = SupplicantKeys(supplicant.control)
        results = await keys.install([key(own), key(point("b", 2)), key(point("x", 3))], 600)
        assert results[own.bssid] == results[point("b", 2).bssid] == ""
        assert "no WPA-Enterprise network for ap3" in results[point("x", 3).bssid]
        assert [line[0] for line in await lines(supplicant, exact)] == [own.bssid]
        assert [line[0] for line in await lines(supplicant, anywhere)] == [point("b", 2).bssid]

    with_supplicant(scenario)


@pytest.mark.parametrize(
    ("pmf", "akms", "expected"),
    [
        (Pmf.OFF, (), AKM_8021X),
        (Pmf.OPTIONAL, (), AKM_8021X_SHA256),
        (Pmf.OPTIONAL, (Akm.EAP,), AKM_8021X),
        (Pmf.OPTIONAL, (Akm.EAP, Akm.EAP_SHA256), AKM_8021X_SHA256),
        (Pmf.OFF, (Akm.EAP_SHA256,), None),
    ],
)
def test_the_key_management_is_the_one_that_both_will_agree_on(
    pmf: Pmf, akms: tuple[Akm, ...], expected: int | None
) -> None:
    async def scenario(supplicant: Supplicant) -> None:
        number = await supplicant.add_network(NetworkProfile(b"b", EAP, pmf=pmf))
        where = point("b", 1, akms)
        results = await SupplicantKeys(supplicant.control).install([key(where)], 600)
        there = await lines(supplicant, number)
        assert [int(line[-2]) for line in there] == ([] if expected is None else [expected])
        assert bool(results[where.bssid]) == (expected is None)

    with_supplicant(scenario)


def test_a_key_never_makes_the_present_connection_authenticate_anew() -> None:
    """Its reauthentication time is its end; hostap's own 70 % would count for whoever is there."""

    async def scenario(supplicant: Supplicant) -> None:
        number = await supplicant.add_network(NetworkProfile(b"b", EAP))
        await SupplicantKeys(supplicant.control).install([key(point("b", 1))], 600)
        ((_, _, _, reauthentication, end, *_),) = await lines(supplicant, number)
        assert reauthentication == end

    with_supplicant(scenario)


def test_some_keys_are_taken_out_and_the_others_stay() -> None:
    async def scenario(supplicant: Supplicant) -> None:
        number = await supplicant.add_network(NetworkProfile(b"b", EAP))
        other = await supplicant.add_network(NetworkProfile(b"c", EAP))
        keys = SupplicantKeys(supplicant.control)
        points = [point("b", each) for each in range(1, 5)]
        await keys.install([key(each) for each in (*points, point("c", 9))], 600)
        before = await lines(supplicant, number)
        await keys.remove([points[1], points[3]])
        assert await cached(supplicant) == {
            points[0].bssid: 1,
            points[2].bssid: 3,
            point("c", 9).bssid: 9,
        }
        kept = [line for line in before if line[0] in (points[0].bssid, points[2].bssid)]
        after = await lines(supplicant, number)
        # Their PMKs too, and their times to within a second of this test.
        assert [line[:3] for line in after] == [line[:3] for line in kept]
        assert all(600 - int(line[4]) < 20 for line in after)
        assert len(await lines(supplicant, other)) == 1
        field = await supplicant.control.request("GET_NETWORK", number, "mixed_cell")
        assert field == "0"
        await keys.remove([point("b", 77)])
        assert len(await cached(supplicant)) == 3

    with_supplicant(scenario)


def test_a_renewed_key_replaces_the_old_one() -> None:
    async def scenario(supplicant: Supplicant) -> None:
        await supplicant.add_network(NetworkProfile(b"b", EAP))
        keys = SupplicantKeys(supplicant.control)
        await keys.install([key(point("b", 1))], 600)
        await keys.install([key(point("b", 1), fill=100)], 600)
        assert await cached(supplicant) == {point("b", 1).bssid: 101}

    with_supplicant(scenario)


def test_the_cache_is_as_large_as_the_limits_are_made_for() -> None:
    """One more than 32, and the key that ends first is silently gone."""

    async def scenario(supplicant: Supplicant) -> None:
        await supplicant.add_network(NetworkProfile(b"b", EAP))
        keys = SupplicantKeys(supplicant.control)
        results = await keys.install([key(point("b", each)) for each in range(MAX_PMKSA + 8)], 600)
        assert not any(results.values())
        assert len(await cached(supplicant)) == MAX_PMKSA

    with_supplicant(scenario)
