"""`mpa-hil watch`: what a node hears, holds and decides, as a picture that changes.

`view` keeps the facts (pure), `drawing` makes text of them, `playing` brings them from a run's
folder, a log that grows, or a live radio.
"""
