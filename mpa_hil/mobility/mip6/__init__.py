"""Mobile IPv6 (RFC 6275): the mobile node, the home agent and the correspondent, sans-IO.

`messages` and `options` are the codec of the Mobility Header, `authentication` who may say what
(RFC 4285 between node and home agent, return routability with correspondents), `tokens` what a
correspondent remembers of its tests. The machines are `mobile_node`, `optimiser` (the node's end of
route optimisation), `home_agent` and `correspondent`.

Left out, on purpose: IPsec between node and home agent as the RFC's default (RFC 4285's option in
its place), dynamic home agent and prefix discovery, multicast membership, IPv4 care-of addresses.
"""
