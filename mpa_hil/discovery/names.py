"""The addresses of an AA whose DNS name is known, by the resolver of the C library.

`getent` asks it, so caching, retries, TCP and the machine's own rules are as everywhere else, and
no second DNS implementation is to be kept. It runs as a process of its own because it blocks, and
because a node that has just come into a network may have to ask *that* network's server (DHCP names
it) without changing the machine's configuration: a mount namespace lays another resolv.conf over
the machine's for that one question.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from mpa_hil.errors import LocalError, MachineError, RemoteError
from mpa_hil.mobility.interface import Address

from .description import is_realm

TIMEOUT_S = 10.0
"""The C library's resolver asks each server twice, for 2 s each, as told below."""
MAX_ADDRESSES = 16
_NOT_FOUND = 2
"""getent's exit status for a name without addresses."""
_OPTIONS = "options timeout:2 attempts:2\n"
# The name and the servers are an argument and standard input: nothing of them is read by a shell.
# The copy lies in a memory file system that ends with the process. A small system may have
# busybox's mount only.
_LAY_OVER = """\
m=mount; command -v mount >/dev/null || m='busybox mount'
$m -t tmpfs tmpfs /tmp && cat > /tmp/resolv.conf &&
$m -o bind /tmp/resolv.conf /etc/resolv.conf && exec getent ahosts "$1"
"""


def parse(output: bytes) -> tuple[Address, ...]:
    """The addresses that `getent ahosts` prints, in its order (RFC 6724), each once."""
    found: dict[Address, None] = {}
    for line in output.decode(errors="replace").splitlines():
        words = line.split()
        with contextlib.suppress(ValueError):
            if words and len(found) < MAX_ADDRESSES:
                found.setdefault(ip_address(words[0]))
    return tuple(found)


async def resolve(
    name: str, servers: Sequence[Address] = (), *, enter: Iterable[str] = ()
) -> tuple[Address, ...]:
    """The addresses of a name, the preferred one first; none if the name has none.

    Args:
        name: in full; no search list is applied.
        servers: ask these, up to three as the C library does (as root); none: the machine's.
        enter: words before the command, such as `nsenter --net=...`.

    Raises:
        LocalError: not a DNS name.
        MachineError: the question could not be put.
        RemoteError: no answer in time.
    """
    if not is_realm(name):
        raise LocalError(f"{name!r} is not a DNS name", remedy="write it like aa.example")
    argv = [*enter]
    configuration = b""
    if servers:
        argv += ["unshare", "--mount", "--propagation", "private", "sh", "-c", _LAY_OVER, "sh"]
        lines = (f"nameserver {server}\n" for server in servers[:3])
        configuration = ("".join(lines) + _OPTIONS).encode()
    else:
        argv += ["getent", "ahosts"]
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            f"{name}.",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise MachineError(f"{argv[0]} cannot be run: {error.strerror}", where="DNS") from error
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, complaint = await process.communicate(configuration)
    except TimeoutError:
        raise RemoteError(f"no DNS answer for {name} in {TIMEOUT_S:g} s", where="DNS") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in (0, _NOT_FOUND):
        raise MachineError(
            f"asking for {name} ended with status {process.returncode}: "
            f"{complaint.decode(errors='replace')[:200].strip()}",
            where="DNS",
            remedy="laying a resolv.conf over needs root" if servers else "",
        )
    return parse(output)
