"""What preparations cost, and which of them were for nothing."""

from __future__ import annotations

from mpa_hil.agents.pilot_tally import Tally
from mpa_hil.handover import interface as do
from mpa_hil.handover.interface import Outcome
from mpa_hil.handover.options import Hold, Level


def prepared(tally: Tally, target: str, realm: str) -> None:
    """All three steps, of 3000, 300 and 200 octets."""
    tally.authenticated(realm, 3000)
    tally.keys(realm)
    tally.note(target, do.Configure())
    tally.signalled(target, Level.CONFIGURED, 300)
    tally.note(target, do.CreateTunnel("esp", Hold.NEXT, bicast=False))
    tally.signalled(target, Level.BOUND, 200)


def over(outcome: Outcome) -> do.Finished:
    return do.Finished(outcome, Level.BOUND, "")


def test_what_served_was_not_for_nothing() -> None:
    tally = Tally("a1")
    prepared(tally, "b1", "b.example")
    tally.note("b1", over(Outcome.MOVED))
    tally.arrived("b1", 0, eap=False)
    tally.use("b.example")
    tally.signalled("b1", Level.CONFIGURED, 80)  # it takes its lease over
    tally.end()
    assert tally.counts["octets"] == 3580
    assert tally.counts["wasted_octets"] == 0


def test_what_was_given_back_was_said_for_nothing_and_so_was_the_farewell() -> None:
    tally = Tally("a1")
    prepared(tally, "b1", "b.example")
    tally.signalled("b1", Level.BOUND, 60)
    tally.note("b1", over(Outcome.STAYED))
    tally.signalled("b1", Level.CONFIGURED, 40)
    assert tally.counts["wasted_octets"] == 600
    tally.note("b1", do.Configure())
    tally.signalled("b1", Level.CONFIGURED, 300)
    assert tally.counts["wasted_octets"] == 600, "a second try may serve"
    tally.end()
    assert tally.counts["wasted_octets"] == 3900
    assert tally.counts["octets"] == 3900
