"""Benchmark of the handover tunnels."""
