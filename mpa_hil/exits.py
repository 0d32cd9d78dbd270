"""Every way out of the program: exit status, message, and signals that let teardown finish.

0 done; 1 the experiment failed; 2 usage or configuration; 3 the machine lacks something; 128 + n
after signal n, when everything set up has been taken away.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from radios.errors import MpaError

DEBUG = "MPA_HIL_DEBUG"
"""Environment variable: set and not empty, tracebacks are shown."""

_POLITE = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a run as Ctrl-C does."""


class Signals:
    """Turns SIGTERM and SIGHUP into what Ctrl-C does, once, and remembers which it was.

    Ctrl-C is the one interruption that both asyncio (it cancels the main task, so every
    ``finally`` runs) and plain code understand. A second polite signal is ignored: it would cut
    the teardown short.
    """

    def __init__(self) -> None:
        self.received: signal.Signals = signal.SIGINT
        self._first = True

    def install(self) -> None:
        """Take over the signals; only the main thread may."""
        # A shell starts background jobs with SIGINT ignored, and asyncio then leaves it so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in _POLITE:
            signal.signal(number, self._arrived)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if self._first:
            self._first = False
            self.received = signal.Signals(number)
            signal.raise_signal(signal.SIGINT)

    @property
    def status(self) -> int:
        """The exit status that tells of the signal."""
        return 128 + self.received


def first_mpa_error(error: BaseException) -> MpaError | None:
    """The project's own error in an error or in a (nested) group of errors."""
    if isinstance(error, MpaError):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            found = first_mpa_error(inner)
            if found is not None:
                return found
    return None


def report(error: BaseException) -> int:
    """Print an error as the user should see it; the exit status it asks for."""
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    known = first_mpa_error(error)
    if known is not None:
        print(f"error: {known}", file=sys.stderr)
        return known.exit_code
    shown = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    print(
        f"error: unexpected {type(shown).__name__}: {shown}\n"
        f"  remedy: this is a defect of mpa-hil; {DEBUG}=1 shows where, please report it",
        file=sys.stderr,
    )
    return 1


def run(body: Callable[[], int]) -> int:
    """Run the program's body; the exit status, whatever happens in it."""
    signals = Signals()
    signals.install()
    try:
        return body()
    except KeyboardInterrupt:
        print(f"error: interrupted by {signals.received.name}", file=sys.stderr)
        return signals.status
    except Exception as error:
        return report(error)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            print(f"error: interrupted by {signals.received.name}", file=sys.stderr)
            return signals.status
        raise
