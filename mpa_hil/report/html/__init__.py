"""`report.html`: what a run showed, as one page that needs no network and no script.

Figures are SVG that this package writes itself, rather than matplotlib's. Tried on the page of four
schemes: matplotlib takes 1.1 s to import and 2.0 s for the sixteen plots of packets, which come to
3.6 MB; the whole page is made in 0.5 s here and has 0.9 MB. It would also bring some 150 MB of
packages into `.venv/` and into the guest's image. What decides it, though: colours are CSS
variables, so that one figure serves light, dark and paper; where packets are few enough to be told
apart, each tells its numbers under the pointer (``<title>``), as phases and messages do; text is
text; and the ladder diagram is no kind of chart that a plotting library has.

    data      what the folder holds: events, and packets
    choice    which run of each scheme is drawn
    holes     where in it blackout and phases lie
    ladder_*  the diagram of RFC 6252 figures 3 and 4: tables of what is drawn, rows, drawing
    plots     one-way delay and sequence numbers round the switch
    dots      every run's blackout, one dot each
    page      all of it together with the tables

Everything in the folder came from a lab, names of networks included, and is treated as hostile:
`markup` alone makes tags, everything else is escaped text, and the page's own policy forbids
scripts and anything from elsewhere.
"""

from .write import REPORT, write

__all__ = ["REPORT", "write"]
