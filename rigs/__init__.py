"""WHERE: hosts, networks, virtual machines and the ordinary servers that stand on them."""
