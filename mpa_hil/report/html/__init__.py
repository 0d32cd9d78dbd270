"""`report.html`: what a run showed, as one page that needs no network and no script.

Figures are SVG that this package writes itself, rather than matplotlib's. For the page of four
schemes that is 0.3 s instead of about 8 (import, 20 figures, each glyph a path), a few hundred
kilobytes instead of several megabytes, no numpy in `.venv/` or in the guest's image, and text that
can be selected and searched. What decides it: colours are CSS variables, so that one figure serves
light, dark and paper; every packet and every message tells its numbers under the pointer
(``<title>``); and the ladder diagram is no kind of chart that a plotting library has.

    data      what the folder holds: events, and the packets of the runs that are drawn
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
