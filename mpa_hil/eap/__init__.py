"""EAP (RFC 3748): the peer with its methods, and the pass-through authenticator. No I/O."""
