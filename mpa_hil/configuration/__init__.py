"""Step 2 of RFC 6252 s6.3, its first half: an address in the candidate network, ahead of the move.

PANA-assisted acquisition (RFC 6252 s7.3.1): the configuration agent (CA) is a DHCP client on the
candidate network's link and acts for the mobile node, which asks it under the MN-CA key. Sans-IO.
`docs/configuration.md` says who sends what.

    interface         what the mobile node asks for and gets
    protocol          the requests and answers on the wire
    client            the mobile node's machine
    agent             the configuration agent's machine: leases, quotas, who may ask for what
    dhcp4, dhcp6      the agent's exchanges with the real DHCP server
    advertisement     router advertisements, and the addresses that follow from them
    frames            the link-layer frames in which the agent speaks
"""
