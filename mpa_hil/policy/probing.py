"""What came of a look or a test that a policy asked for. Sans-IO."""

from __future__ import annotations

from mpa_hil.light import light

UNTESTED = "untested"


@light
class Probed:
    """The answer to `Probe`: what of it could be found. A scan's findings come as samples.

    Attributes:
        ap: the target of a reachability test; "": it was a scan.
        by: of a test: what the target answered with ("anqp", "probe-response"); "beacon": it is
            heard and does not answer; "nothing": nor that; "scan": it was found, and nobody here
            can tell how; "untested": there was no time for it.
    """

    t_ns: int
    ap: str
    reachable: bool
    took_ns: int = 0
    by: str = ""

    @property
    def refuted(self) -> bool:
        """Whether it was tested and does not answer."""
        return not self.reachable and self.by != UNTESTED
