"""``python -m mpa_hil`` is ``mpa-hil``."""

from .cli import main

main()
