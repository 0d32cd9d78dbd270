"""The project's errors: one root, and who must act decides the branch.

Every error says what happened, where, and what to do about it. The command line prints
``str(error)`` and leaves with ``error.exit_code``; nothing else maps errors to exit codes.
The root lives on the lowest storey so that all three may raise it.
"""

from __future__ import annotations


class MpaError(Exception):
    """Root of everything this project raises on purpose.

    Args:
        what: what happened, in one sentence without a full stop.
        where: file and key, host, daemon or radio that it happened to.
        remedy: what the reader can do, preferably the command to type.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  remedy: {self.remedy}" if self.remedy else text


class LocalError(MpaError):
    """The caller broke a rule: bad lab file, bad argument, call out of order (exit 2)."""

    exit_code = 2


class RemoteError(MpaError):
    """A peer or daemon misbehaved, refused or died (exit 1: the experiment failed)."""

    exit_code = 1


class MachineError(MpaError):
    """The machine lacks a privilege, module, package, radio or space (exit 3)."""

    exit_code = 3
