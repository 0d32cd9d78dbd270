"""How keys leave the authentication agent: install, withdraw, acknowledge, take stock.

The authentication agent keeps one `Distributor` for each recipient (configuration agent, access
router, enforcement point), each recipient one `Holder`. Both are sans-IO; `tls` and `streams`
carry their octets over mutually authenticated TLS 1.3.
"""
