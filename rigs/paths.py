"""Names and paths of a lab's boxes: what is allowed, and where things lie.

The namespace, the run directory and the environment mark of everything that a lab creates carry
the lab's id, so that `rigs.sweep` can find it all and nothing else.
"""

from __future__ import annotations

import posixpath
import re

from radios.errors import LocalError

RUN_DIRECTORY = "/run/mpa-hil"
"""Work directories live at ``RUN_DIRECTORY/<lab_id>/<host>``; /run is a tmpfs, so nothing that a
daemon writes there waits for a disk."""

LAB_VARIABLE = "MPA_HIL_LAB"
"""Environment variable holding the lab's id in every process that the lab starts."""

# Short, because a control socket's path below the work directory has 107 octets at most
# (unix(7), sun_path). No hyphen in a lab's id: it would make `mpa-a-b-c` ambiguous.
_LAB_ID = re.compile(r"[A-Za-z0-9_]{1,24}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


def checked_lab_id(lab_id: str) -> str:
    """`lab_id` if it may be one (1-24 letters, digits, underscores); else raises LocalError."""
    if not _LAB_ID.fullmatch(lab_id):
        raise LocalError(
            f"{lab_id!r} cannot name a lab",
            remedy="use 1 to 24 letters, digits or underscores",
        )
    return lab_id


def checked_name(name: str, what: str = "host") -> str:
    """`name` if it may name a host or daemon; else raises LocalError."""
    if not _NAME.fullmatch(name):
        raise LocalError(
            f"{name!r} cannot name a {what}",
            remedy="use 1 to 32 letters, digits, '.', '-' or '_', beginning with a letter or digit",
        )
    return name


def namespace_prefix(lab_id: str) -> str:
    """What the names of the lab's network namespaces begin with."""
    return f"mpa-{checked_lab_id(lab_id)}-"


def namespace_of(lab_id: str, host: str) -> str:
    """The network namespace of the lab's host."""
    return namespace_prefix(lab_id) + checked_name(host)


def lab_directory(lab_id: str, run_directory: str = RUN_DIRECTORY) -> str:
    """The directory that holds the work directories of the lab's hosts."""
    return posixpath.join(run_directory, checked_lab_id(lab_id))


def resolve(workdir: str, path: str, where: str) -> str:
    """`path` on a host: absolute as it is, relative below `workdir`.

    Raises:
        LocalError: a relative path that leads out of the work directory, or no path at all.
    """
    if not path or "\0" in path:
        raise LocalError(f"{path!r} is not a path", where=where)
    full = posixpath.normpath(posixpath.join(workdir, path))
    if not posixpath.isabs(path) and not (full == workdir or full.startswith(workdir + "/")):
        raise LocalError(f"the path {path} leads out of the work directory", where=where)
    return full


def resolve_for_removal(workdir: str, path: str, where: str) -> str:
    """Like `resolve`, but refuses the work directory itself and everything that contains it."""
    full = resolve(workdir, path, where)
    if workdir == full or workdir.startswith(full.rstrip("/") + "/"):
        raise LocalError(f"{full} holds the work directory: close the host instead", where=where)
    return full
