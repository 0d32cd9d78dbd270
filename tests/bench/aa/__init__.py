"""How much authentication one authentication agent does, and what it costs: `make bench-aa`."""
