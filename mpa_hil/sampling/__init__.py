"""Signals of access points as a policy wants them: merged, without what says nothing, at a price.

Knows no daemon: `mpa_hil.agents.sampling` feeds it and carries out what it wants.
"""
