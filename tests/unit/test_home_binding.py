"""The mobile node's binding in one shape for both versions of IP."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address

import pytest

from mpa_hil.agents.home_binding import HomeBinding
from mpa_hil.mobility.interface import Address
from radios.errors import LocalError

FOUR, SIX = IPv4Address("10.1.0.7"), IPv6Address("2001:db8:1::7")


class Registrar6:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, IPv6Address | None, bool]] = []

    def stage(self, care_of: IPv6Address) -> None:
        self.told.append(("stage", care_of, False))

    def register(self, care_of: IPv6Address, *, at_once: bool = False) -> None:
        self.told.append(("register", care_of, at_once))

    def retire(self, care_of: IPv6Address) -> None:
        self.told.append(("retire", care_of, False))

    async def deregister(self) -> None:
        self.told.append(("deregister", None, False))

    def close(self) -> None:
        self.told.append(("close", None, False))


def test_what_is_asked_of_it_reaches_the_registrar() -> None:
    registrar = Registrar6()
    binding = HomeBinding(registrar, IPv6Address)
    care_of: Address = SIX
    binding.stage(care_of)
    binding.register(care_of)
    binding.register(care_of, at_once=True)
    binding.retire(care_of)
    asyncio.run(binding.deregister())
    binding.close()
    assert registrar.told == [
        ("stage", SIX, False),
        ("register", SIX, False),
        ("register", SIX, True),
        ("retire", SIX, False),
        ("deregister", None, False),
        ("close", None, False),
    ]


@pytest.mark.parametrize("verb", ["stage", "register", "retire"])
def test_an_address_of_the_other_version_is_refused(verb: str) -> None:
    registrar = Registrar6()
    with pytest.raises(LocalError, match=r"10\.1\.0\.7"):
        getattr(HomeBinding(registrar, IPv6Address), verb)(FOUR)
    assert registrar.told == []
