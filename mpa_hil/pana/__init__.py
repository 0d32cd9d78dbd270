"""PANA, the network-layer transport of EAP (RFC 5191), sans-IO on both sides."""
