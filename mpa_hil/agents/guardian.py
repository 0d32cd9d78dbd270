"""A guardian: a child that tidies up in the kernel when its agent is killed.

Queues and plugs are the kernel's. If the process that drives them gets SIGKILL while it holds
packets, they would wait for ever. The guardian waits for the end of a pipe, which is the agent's
end; one octet through the pipe says that there is nothing to do.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable


class Guardian:
    """Runs `tidy` in a child once this process has ended without `dismiss`.

    Call it before there are threads. The child inherits every descriptor, and must open its own.
    """

    def __init__(self, tidy: Callable[[], object]) -> None:
        reading, self._writing = os.pipe()
        self._child = os.fork()
        if self._child:
            os.close(reading)
            return
        status = 1
        try:
            os.close(self._writing)
            os.setsid()  # a signal to the agent's process group must not take the guardian along
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            for descriptor in (0, 1):  # whoever reads the agent's output must see it end
                os.close(descriptor)
            if not os.read(reading, 1):
                tidy()
            status = 0
        finally:
            os._exit(status)

    def dismiss(self) -> None:
        """End the guardian: all is tidy. Safe to repeat."""
        if self._child == 0:
            return
        with contextlib.suppress(BrokenPipeError):  # it was killed itself
            os.write(self._writing, b"!")
        os.close(self._writing)
        os.waitpid(self._child, 0)
        self._child = 0
