"""The network that a lab file describes, built: boxes, wires, radios, servers.

`plan` and `servers` turn a `Scenario` into wiring and configurations (pure); `air` makes and tunes
the radios; `builder` puts it all up on hosts and takes it down again.
"""
