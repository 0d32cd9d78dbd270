"""DHCP for IPv4 (RFC 2131) as the configuration agent speaks it: a client for another's sake."""
