"""How the mobile node learns of candidate target networks before it moves (RFC 6252 s7.1)."""
