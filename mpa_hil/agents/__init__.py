"""Processes that act on a box of the lab: commands on standard input, events on standard output.

An agent is one process in the namespace (or on the machine) that it serves, started by a `Host`
as `python3 -m mpa_hil.agents.NAME CONFIG.json`. It imports little, because in the guest imports
cost more than anything else it does. It ends, undoing what it did, on SIGTERM and when its
standard input closes: so nothing outlives the controller.
"""
