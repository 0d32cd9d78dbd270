"""Mobile IPv4 (RFC 5944) with a co-located care-of address: the mobile node and the home agent.

`messages` is the codec, `authentication` the MN-HA security association, `identification` the
replay protection by timestamps; `mobile_node` and `home_agent` are the two machines; `beside` has
the bindings that are kept beside a later one.

Left out, on purpose: foreign agents (the mobile node always has its own care-of address), nonces
(timestamps are the mandatory style), dynamic home agents and home addresses, minimal and GRE
encapsulation (IP in IP is the one that everybody has).
"""
