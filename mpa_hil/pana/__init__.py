"""PANA, the network-layer transport of EAP (RFC 5191), sans-IO: octets and the time in, outputs out."""
