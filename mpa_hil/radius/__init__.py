"""The authentication agent's side of AAA: RADIUS client, and per-device keys for access points."""
