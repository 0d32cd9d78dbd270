"""Generated tests repeat: the same cases each time, and no deadline for a busy machine.

To look for new ones: ``.venv/bin/python -m pytest tests/unit --hypothesis-profile=explore``.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("repeatable")
