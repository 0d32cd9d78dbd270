"""A machine to reach over SSH: a real sshd in a network namespace, with keys of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from rigs.local import run_local
from rigs.netns import NamespaceHost
from rigs.paths import namespace_of
from rigs.ssh import SshTarget

PORT = 2222

_CONFIGURATION = """
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
MaxSessions 2
"""


@dataclass(frozen=True)
class FarMachine:
    """A running sshd.

    Attributes:
        host: the namespace it stands in.
        target: how to reach it, with the right keys.
        folder: where its keys are, on this machine.
    """

    host: NamespaceHost
    target: SshTarget
    folder: Path

    def kill_sessions(self) -> int:
        """SIGKILL every sshd process that serves a connection; how many there were."""
        sessions = [
            pid
            for pid in _pids_in(self.host.namespace)
            if (title := _title(pid)).startswith("sshd: ") and "[listener]" not in title
        ]
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(sessions)


def lacking() -> str:
    """What this machine lacks for it, or ""."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    if shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        return "sshd is not installed (package openssh-server)"
    return ""


@contextlib.asynccontextmanager
async def far_machine(lab_id: str, folder: Path) -> AsyncIterator[FarMachine]:
    """Run a far machine; `folder` is for its keys and this side's.

    The link's near end is in this machine's own namespace, named so that `rigs.sweep` finds it.
    """
    # 198.18.0.0/15 is for tests (RFC 2544); a /30 of its own for each test process.
    block = os.getpid() % (1 << 14)
    near, far = (f"198.18.{block >> 6}.{(block & 63) * 4 + last}" for last in (1, 2))
    cable = f"{namespace_of(lab_id, 'c')}"[:15]
    for name in ("host_key", "user_key", "other_key"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        (folder / name).touch(0o600)  # sshd insists
        key.write_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    for known, key_name in (("known_hosts", "host_key"), ("wrong_hosts", "other_key")):
        public = (folder / f"{key_name}.pub").read_text()
        (folder / known).write_text(f"[{far}]:{PORT} {public}")
    configuration = _CONFIGURATION.format(port=PORT, address=far, folder=folder)
    (folder / "sshd_config").write_text(configuration)
    with _run_directory():
        host = await NamespaceHost.create("far", lab_id)
        try:
            lines = f"link add {cable} type veth peer name eth0 netns {host.namespace}\n"
            lines += f"address add {near}/30 dev {cable}\nlink set {cable} up\n"
            await run_local(("ip", "-batch", "-"), where="this machine", stdin=lines.encode())
            lines = f"address add {far}/30 dev eth0\nlink set eth0 up\n"
            await host.run("ip", "-batch", "-", stdin=lines.encode())
            sshd = await host.spawn(
                "/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/sshd_config", name="sshd"
            )
            target = SshTarget(
                far, PORT, keys=(f"{folder}/user_key",), known_hosts=f"{folder}/known_hosts"
            )
            async with asyncio.timeout(20):
                # With -e it tells its log, and nobody else, when it listens.
                while b"Server listening" not in await sshd.log():
                    assert sshd.returncode is None, await sshd.log()
                    await asyncio.sleep(0.02)
            yield FarMachine(host, target, folder)
        finally:
            # A namespace takes its cable along some time after it is gone; this is at once.
            await run_local(("ip", "link", "del", cable), where="this machine", check=False)
            await host.close()


@contextlib.contextmanager
def _run_directory() -> Iterator[None]:
    """sshd wants /run/sshd, which only its service unit makes. Ours goes with its last user."""
    mark = Path("/run/sshd/made-by-a-test")
    with contextlib.suppress(FileExistsError):
        os.mkdir("/run/sshd", 0o755)
        mark.touch()
    user = os.open("/run/sshd", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(user, fcntl.LOCK_SH)
        yield
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(user, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if mark.exists():
                mark.unlink()
                os.rmdir("/run/sshd")
    finally:
        os.close(user)


def _pids_in(namespace: str) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", namespace], check=True, capture_output=True)
    return [int(word) for word in listed.stdout.split()]


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
