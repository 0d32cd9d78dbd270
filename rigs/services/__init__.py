"""The ordinary servers that stand on hosts: RADIUS, access points, supplicants, DHCP, capture.

One file a daemon. Each has a frozen configuration, a pure function from it to the text that the
daemon reads, and `start(host, config)`, which returns once the daemon says that it is ready.
"""
