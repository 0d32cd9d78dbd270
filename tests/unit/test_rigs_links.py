"""What a topology may not be, each refused with the place and the fault."""

from __future__ import annotations

import pytest

from radios.errors import LocalError
from rigs.links import Bridge, Impairment, Link, Port, Route, Sysctl, Topology, validate


@pytest.mark.parametrize(
    ("topology", "match"),
    [
        (Topology(links=[Link("a/b", "c")]), "cannot name a host"),
        (Topology(links=[Link("a", "b", a_interface="x" * 16)]), r"a: .*cannot name an interface"),
        (Topology(links=[Link("a", "b", a_interface="x y")]), "cannot name an interface"),
        (Topology(links=[Link("a", "b", a_interface="x;id")]), "cannot name an interface"),
        (Topology(links=[Link("a", "b", a_interface="lo")]), "cannot name an interface"),
        (Topology(links=[Link("a", "all")]), "cannot name an interface"),
        (Topology(links=[Link("a", "b"), Link("b", "a")]), r"b: two interfaces are called a"),
        (Topology(links=[Link("a", "b", mtu=10)]), "MTU 10"),
        (Topology(links=[Link("a", "b", "10.0.0.1")]), r"a: b: '10.0.0.1' is no address"),
        (Topology(links=[Link("a", "b", "10.0.0.1/33")]), "is no address"),
        (Topology(links=[Link("a", "b", "10.0.0.1/8; id")]), "is no address"),
        (
            Topology(links=[Link("a", "b", "10.0.0.1/24", "10.0.0.1/24")]),
            r"b: a: the address 10.0.0.1 is taken by a: b",
        ),
        (Topology(links=[Link("a", "b", delay_ms=-1)]), "delay_ms = -1"),
        (Topology(links=[Link("a", "b", delay_ms=1, jitter_ms=2)]), "jitter_ms = 2"),
        (Topology(links=[Link("a", "b", delay_ms=float("nan"))]), "delay_ms = nan"),
        (Topology(links=[Link("a", "b", loss_percent=101)]), "loss_percent = 101"),
        (Topology(links=[Link("a", "b", rate_mbit=0)]), "rate_mbit = 0"),
        (Topology(links=[Link("a", "b", back=Impairment(loss_percent=-1))]), r"b: a: loss"),
        (Topology(ports=[Port("a", "x", ["nonsense"])]), "is no address"),
        (Topology(ports=[Port("a", "x"), Port("a", "x")]), "two interfaces"),
        (Topology(bridges=[Bridge("a", "br0", ["eth9"])]), r"port eth9 is no link or port of a"),
        (Topology(bridges=[Bridge("a", "br0"), Bridge("a", "br0")]), "two interfaces"),
        (Topology(bridges=[Bridge("a", "br0", mtu=0)]), "MTU 0"),
        (Topology(routes=[Route("a", "10.0.0.1/8", "1.1.1.1")]), "has host bits set"),
        (Topology(routes=[Route("a", "default", "nowhere")]), "nowhere"),
        (Topology(routes=[Route("a", "default")]), "needs a gateway"),
        (Topology(routes=[Route("a", "default", interface="x y")]), "cannot name an interface"),
        (Topology(sysctls=[Sysctl("a", "kernel.panic", "1")]), r"is no net\.\* sysctl"),
        (Topology(sysctls=[Sysctl("a", "net/../kernel/panic", "1")]), r"is no net\.\* sysctl"),
        (Topology(sysctls=[Sysctl("a", "net.ipv4.ip_forward", "1'; id")]), "cannot be"),
    ],
)
def test_refused(topology: Topology, match: str) -> None:
    with pytest.raises(LocalError, match=match):
        validate(topology)


def test_ends_take_their_names_and_impairments() -> None:
    link = Link("a", "b", "10.0.0.1/24", delay_ms=5, back=Impairment(loss_percent=1))
    near, far = link.a_end, link.b_end
    assert (near.host, near.interface, near.addresses) == ("a", "b", ("10.0.0.1/24",))
    assert (far.host, far.interface, far.addresses) == ("b", "a", ())
    assert near.impairment == Impairment(delay_ms=5)
    assert far.impairment == Impairment(loss_percent=1)
    both = Link("a", "b", delay_ms=5)
    assert both.a_end.impairment == both.b_end.impairment == Impairment(delay_ms=5)
    assert not Link("a", "b").a_end.impairment


def test_hosts_are_listed_once() -> None:
    topology = Topology(
        links=[Link("b", "a"), Link("b", "c")],
        bridges=[Bridge("d", "br0")],
        routes=[Route("a", "default", "10.0.0.1")],
        forwarding=frozenset({"e"}),
    )
    assert topology.hosts() == ["b", "a", "c", "d", "e"]
    validate(topology)
