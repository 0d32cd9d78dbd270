"""The handover at the mobile node, as machines without I/O."""
