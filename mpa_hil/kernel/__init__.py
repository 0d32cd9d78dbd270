"""Kernel objects that an agent sets in its own network namespace, by rtnetlink.

Standard library only: an agent in the guest starts in a fraction of the time that a general
netlink library takes to import, and what a switch needs can be encoded before it.
"""
