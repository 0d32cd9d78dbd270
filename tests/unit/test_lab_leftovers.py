"""What counts as left in a box's kernel."""

from __future__ import annotations

import pytest

from mpa_hil.lab.leftovers import _plain, difference

LINK = "4: {}@NONE: <NOARP> mtu 1480 qdisc noop state DOWN qlen 1000\\    link/ipip 0.0.0.0"


@pytest.mark.parametrize("name", ["tunl0", "ip6tnl0", "sit0"])
def test_the_devices_that_come_with_a_module_do_not(name: str) -> None:
    assert not _plain(LINK.format(name))


def test_a_tunnel_does() -> None:
    assert _plain(LINK.format("mpapht")) == "mpapht@NONE: mtu 1480 qdisc noop link/ipip 0.0.0.0"


def test_what_came_and_what_went() -> None:
    before = {"mn": frozenset({"a", "b"}), "home": frozenset({"a"})}
    after = {"mn": frozenset({"b", "c"}), "home": frozenset({"a"})}
    assert difference(before, after) == ("mn: c", "mn: gone: a")
