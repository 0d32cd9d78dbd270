"""Schemes times repeats on a lab: collected where the radios are, evaluated where time is cheap.

`collect` runs on the rig and leaves raw records, events and captures; `mpa_hil.evaluation` makes
figures of them afterwards on the caller's machine.
"""
