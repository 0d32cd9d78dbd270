"""DHCP for IPv6 (RFC 8415) as the configuration agent speaks it: a client for another's sake."""
