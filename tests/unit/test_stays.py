"""What stands on the interface of networks that a node came to with an address but no tunnel."""

from __future__ import annotations

from collections.abc import Hashable
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from mpa_hil.agents import layer3
from mpa_hil.agents.config import Fields
from mpa_hil.agents.stays import Stays
from mpa_hil.kernel.node_tunnel import NextNetwork
from mpa_hil.kernel.objects import Address, KernelObject, Route

WLAN = "wlan0"
A = IPv4Interface("10.1.0.5/24"), IPv4Address("10.1.0.1"), b"\2\0\0\0\0\1"
B = IPv4Interface("10.2.0.5/24"), IPv4Address("10.2.0.1"), b"\2\0\0\0\0\2"
C = IPv4Interface("10.3.0.5/24"), IPv4Address("10.3.0.1"), b"\2\0\0\0\0\3"


class Ledger:
    """One object for each key, as in `kernel.state.Ledger`."""

    def __init__(self) -> None:
        self.objects: dict[Hashable, KernelObject] = {}

    def apply(self, wanted: KernelObject) -> None:
        self.objects[wanted.key] = wanted

    def withdraw(self, wanted: KernelObject) -> None:
        if self.objects.get(wanted.key) == wanted:
            del self.objects[wanted.key]

    @property
    def addresses(self) -> set[str]:
        return {str(each.address) for each in self.objects.values() if isinstance(each, Address)}

    @property
    def router(self) -> str:
        """Where everything goes; "": nowhere, the network is unreachable."""
        routes = [each for each in self.objects.values() if isinstance(each, Route)]
        return str(routes[0].gateway) if routes else ""


def test_the_next_network_takes_the_place_of_the_route_and_not_of_the_address() -> None:
    ledger = Ledger()
    stays = Stays(ledger, WLAN)
    stays.settle(*A)
    stays.come(*B)
    stays.adopt()
    assert (ledger.addresses, ledger.router) == ({"10.1.0.5", "10.2.0.5"}, "10.2.0.1")
    stays.drop()
    assert (ledger.addresses, ledger.router) == ({"10.2.0.5"}, "10.2.0.1")


def test_who_goes_back_finds_its_route_again() -> None:
    ledger = Ledger()
    stays = Stays(ledger, WLAN)
    stays.settle(*A)
    stays.come(*B)
    stays.adopt()
    stays.back()
    assert (ledger.addresses, ledger.router) == ({"10.1.0.5"}, "10.1.0.1")


def test_what_another_has_put_there_stays() -> None:
    """B was come to with a tunnel, whose own objects stand there; C without one, in vain."""
    ledger = Ledger()
    stays = Stays(ledger, WLAN)
    stays.settle(*A)
    stays.adopt()
    tunnels = Route(route(ledger).destination, WLAN, B[1], B[0].ip, on_link=True)
    ledger.apply(tunnels)
    stays.drop()
    assert ledger.router == "10.2.0.1", "what was A's is gone, what is B's is not"
    stays.come(*C)
    stays.adopt()
    assert ledger.router == "10.3.0.1"
    stays.back()
    ledger.apply(tunnels)  # `NodeTunnel.stand`: it is the residence that resumes
    stays.drop()
    assert ledger.router == "10.2.0.1"
    stays.clear()
    assert set(ledger.objects.values()) == {tunnels}


def route(ledger: Ledger) -> Route:
    return next(each for each in ledger.objects.values() if isinstance(each, Route))


def test_the_first_network_outlives_its_link() -> None:
    ledger = Ledger()
    stays = Stays(ledger, WLAN)
    stays.settle(*A)
    before = dict(ledger.objects)
    ledger.objects.clear()
    stays.settle(*A)
    assert not ledger.objects
    assert before


def test_to_and_fro_leaves_nothing() -> None:
    ledger = Ledger()
    stays = Stays(ledger, WLAN)
    stays.settle(*A)
    for number in range(20):
        stays.come(*(B, A)[number % 2])
        stays.adopt()
        if number % 3 == 2:
            stays.back()
        stays.drop()
        assert len(ledger.objects) == 3, "one address, one router, one route"
    stays.clear()
    assert not ledger.objects


class Silent:
    """A kernel that takes everything."""

    def request(self, *_: object) -> None:
        pass


class House:
    """What a handover has set up."""

    def __init__(self) -> None:
        self.resumed = 0

    def resume(self) -> None:
        self.resumed += 1

    async def vacate(self) -> None:
        pass


def test_a_node_that_comes_back_lives_at_its_old_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over a link that died while the home agent was asked, at a network without a tunnel."""
    monkeypatch.setattr(layer3, "RouteSocket", Silent)
    fields, interface = Fields({}, "agent"), "lo"
    node = layer3.Layer3(fields, interface, str(tmp_path), Any, Any)  # type: ignore[arg-type]
    old, new = House(), House()
    for house, (address, router, mac) in ((old, A), (new, B)):
        node.set_up(NextNetwork(address, router, mac))
        node.adopt(address.ip, house)
    assert node.address == B[0].ip
    node.readopt()
    assert node.address == A[0].ip
    assert (old.resumed, new.resumed) == (1, 0)
    routes = [each for each in node.state.objects if isinstance(each, Route)]
    assert [each.gateway for each in routes] == [A[1]]
