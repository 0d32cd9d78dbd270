"""What a run prints: golden plain text, narrow terminals, and the refusal."""

from __future__ import annotations

import io

import msgspec
from report_sample import good_verdict, run, summary

from mpa_hil.report.grids import median_run
from mpa_hil.report.summary import PerDirection, Summary, make_scheme
from mpa_hil.report.tables import NARROWEST, PLAIN_WIDTH, render
from mpa_hil.report.verdict import QuietRun, judge

GOLDEN = """\
Blackout: largest hole in the stream less the packet spacing, ms
scheme   way  runs      min median    p95    max        95 % CI     L2     L3
─────────────────────────────────────────────────────────────────────────────
reactive down 7      4000.0 4030.0 4057.0 4060.0 4010.0..4050.0 1007.5 2015.0
         up          3987.5 4017.5 4044.5 4047.5 3997.5..4037.5

l2-floor down 1 of 2   12.0   12.0   12.0   12.0              -    3.0      -
         up            -0.5   -0.5   -0.5   -0.5              -

The call: packets and how it sounded in the 10 s round the handover
scheme   way  lost median max of sent dup reord jitter ms delay p95 ms  MOS
───────────────────────────────────────────────────────────────────────────
reactive down         203 206    1500   0     0      0.12         24.9 3.21
         up           203 206    1500   1     0      0.35            -    -

l2-floor down           0   0    1500   0     0      0.12         24.9 3.21
         up             0   0    1500   1     0      0.35            -    -

Where the time went, ms: the median run
(range over all runs)
phase                     reactive, run 4
─────────────────────────────────────────
scan                 185.0 (185.0..185.0)
EAP                  440.5 (440.5..440.5)
  its messages                       x 11
  its round trips                     x 4
DHCP              3100.0 (3100.0..3100.0)
remainder            304.5 (274.5..334.5)

total             4030.0 (4000.0..4060.0)

FAILED    l2-floor, run 2: hostapd b1 died
ok        null run clean: 500 packets without a switch, none lost or doubled
not made  control without holding loses: no scheme here holds packets
ok        observers agree: 1 comparisons, at most 0.200 ms apart
The figures above passed every check that was made.
"""


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(what: Summary, out: io.StringIO | None = None) -> str:
    out = io.StringIO() if out is None else out
    render(what, out)
    return out.getvalue()


def test_plain_text_is_as_agreed() -> None:
    assert printed(summary(good_verdict())) == GOLDEN


def test_plain_text_has_no_escapes_and_fits() -> None:
    text = printed(summary(good_verdict()))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= PLAIN_WIDTH
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_a_narrow_terminal_cuts_no_digit_off() -> None:
    terminal = Terminal()
    text = printed(summary(good_verdict()), terminal)
    assert "…" not in text
    assert "4010.0..4050.0" in text
    assert NARROWEST <= PLAIN_WIDTH


def test_refusal_says_why() -> None:
    null = [QuietRun("voice", "uplink", 500, 3, 0, 61.0, 20.0)]
    text = printed(summary(judge(null, None, [])))
    assert "No verdict: do not quote the figures above." in text
    assert "because of null run clean: voice uplink without a switch: 3 of 500 lost" in text
    assert "passed every check" not in text


def test_phases_of_the_median_run_add_up() -> None:
    scheme = make_scheme([run(4100.0, 1), run(4000.0, 1), run(4300.0, 1), run(4200.0, 1)])
    chosen = median_run(scheme)
    assert chosen is not None
    number, one = chosen
    assert (number, one.phases_ms["total"]) == (1, 4100.0)
    assert sum(v for k, v in one.phases_ms.items() if k != "total") == 4100.0


def test_no_runs_and_no_verdict_print_dashes() -> None:
    empty = msgspec.structs.replace(summary(), schemes={"reactive": make_scheme([])})
    text = printed(empty)
    assert "reactive" in text
    assert "Where the time went" not in text
    assert "passed every check" not in text


def test_notes_are_printed_and_one_way_flows_leave_dashes() -> None:
    one_way = msgspec.structs.replace(
        run(12.0, 3), lost=PerDirection(None, 3), duplicated=PerDirection(None, 0)
    )
    shown = msgspec.structs.replace(
        summary(), schemes={"reactive": make_scheme([one_way])}, notes=["run 1: x.pcap was cut off"]
    )
    text = printed(shown)
    assert "NOTE      run 1: x.pcap was cut off" in text
    assert "reactive down           - " in text
