"""Voice-like flows: senders, receivers, what they recorded and the figures made of it."""
