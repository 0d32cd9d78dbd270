"""A Host as a network namespace of this machine.

The namespace lives exactly as long as its *guard*, a tiny shell that makes it, waits for the end of
its standard input, and takes everything away: the processes inside, the namespace, the work
directory. The controller holds the other end of that pipe, so an orderly `close`, a crash and a
SIGKILL of the controller all run the same lines. Daemons also carry a parent-death signal, which
ends them at once even if the guard was killed too; alone it would not do, because the kernel clears
it when a daemon changes its user (prctl(2), PR_SET_PDEATHSIG), and children do not inherit it.

Commands enter by ``nsenter --net``: two small C programs executed in place. ``ip netns exec`` would
also mount another /sys, which hides nothing that the lab needs hidden and takes longer; so
/sys/class/net and the hwsim debugfs tree are the machine's own for every box. Files too are the
machine's: only interfaces, addresses, routes, sockets and /proc/sys/net differ from box to box, and
the last only for processes inside (so use `run`, not `get`, on /proc/sys/net).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping

from radios.channel import DatagramChannel
from radios.errors import LocalError, MachineError, RemoteError
from rigs import paths
from rigs.host import Completed, Daemon
from rigs.local import Child, find_program, program_path, run_local
from rigs.process import ProcessDaemon, checked_argv

GUARD_NAME = "mpa-hil-guard"
"""$0 of every guard, by which `rigs.sweep` knows one."""

_EXISTS = 17
_GUARD = r"""
trap '' HUP INT QUIT TERM
ns=$1 dir=$2
[ -e "/run/netns/$ns" ] && exit 17
ip netns add "$ns" || exit 1
remove() {
    tries=0
    while [ $tries -lt 100 ] && pids=$(ip netns pids "$ns") && [ -n "$pids" ]; do
        kill -9 $pids 2>/dev/null
        tries=$((tries + 1))
        sleep 0.02
    done
    ip netns del "$ns"
    rm -rf -- "$dir"
    rmdir -- "${dir%/*}" 2>/dev/null
}
rm -rf -- "$dir"
# Again, because another host's guard may just now remove the parent it found empty.
for try in 1 2 3; do mkdir -p -m 0700 -- "$dir" && break; done
[ -d "$dir" ] && nsenter --net="/run/netns/$ns" sh -c '
    if [ -d /proc/sys/net/ipv6 ]; then
        for scope in all default lo; do echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad; done
    fi
    exec ip link set dev lo up' || { remove; exit 1; }
echo ready
read -r _
remove
"""


class NamespaceHost:
    """One box of the lab in a network namespace; make it with `create`.

    Attributes:
        name: the box's name in the lab.
        namespace: the network namespace, as ``ip netns`` lists it.
        workdir: the private directory, mode 0700, also every command's working directory.
        on_death: called on the event loop with each daemon that ended though nobody called its
            `stop`, whatever its exit status.
    """

    def __init__(self, name: str, lab_id: str, workdir: str, guard: Child) -> None:
        self.name = name
        self.workdir = workdir
        self.namespace = paths.namespace_of(lab_id, name)
        self.on_death: Callable[[Daemon], None] | None = None
        self._lab_id = lab_id
        self._guard = guard
        self._daemons: list[ProcessDaemon] = []
        self._closing = False

    @classmethod
    async def create(
        cls, name: str, lab_id: str, run_directory: str = paths.RUN_DIRECTORY
    ) -> NamespaceHost:
        """Make the namespace, its loopback and the work directory.

        Args:
            name: the box's name, unique in the lab.
            lab_id: what names of this lab's things carry (`rigs.paths`).
            run_directory: where work directories go; best a tmpfs.

        Raises:
            LocalError: a name that cannot be one.
            MachineError: no privilege, iproute2 or util-linux missing, or the namespace is left
                from a former run.
        """
        namespace = paths.namespace_of(lab_id, name)
        workdir = os.path.join(paths.lab_directory(lab_id, run_directory), name)
        if os.geteuid() != 0:
            raise MachineError(
                "making a network namespace takes root",
                where=name,
                remedy="run it with sudo, or as an ordinary user in the guest (--rig guest)",
            )
        for program in ("ip", "nsenter", "setpriv"):
            find_program(program, "this machine")
        guard = await Child.start(
            [find_program("sh", name), "-c", _GUARD, GUARD_NAME, namespace, workdir],
            env={paths.LAB_VARIABLE: lab_id, "PATH": program_path()},
            stdin=True,
        )
        host = cls(name, lab_id, workdir, guard)
        try:
            await host._await_guard()
        except BaseException:
            await host._release()
            raise
        return host

    async def _await_guard(self) -> None:
        assert self._guard.stdout is not None
        assert self._guard.stderr is not None
        if await self._guard.stdout.readline() == b"ready\n":
            return
        said = (await self._guard.stderr.read()).decode(errors="replace").strip()
        if await self._guard.wait() == _EXISTS:
            raise MachineError(
                f"the namespace {self.namespace} exists already",
                where=self.name,
                remedy="end the run that uses it, or remove what a crashed one left: "
                f"ip netns delete {self.namespace}",
            )
        raise MachineError(
            f"the namespace {self.namespace} cannot be made: {said}",
            where=self.name,
            remedy="run as root on a kernel with network namespaces",
        )

    async def _release(self) -> None:
        self._guard.close_stdin()
        await self._guard.wait()
        self._guard.close_pipes()

    def _enter(self) -> list[str]:
        if self._closing or self._guard.returncode is not None:
            raise LocalError("the host is closed", where=self.name)
        return [find_program("nsenter", self.name), f"--net=/run/netns/{self.namespace}", "--"]

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        return {"PATH": program_path(), **(extra or {}), paths.LAB_VARIABLE: self._lab_id}

    async def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        check: bool = True,
    ) -> Completed:
        """Run a command in the namespace to its end (`rigs.host.Host.run`)."""
        return await run_local(
            argv,
            prefix=self._enter(),
            where=self.name,
            stdin=stdin,
            timeout_s=timeout_s,
            check=check,
            cwd=self.workdir,
            env=self._environment(None),
        )

    async def spawn(
        self,
        *argv: str,
        name: str,
        env: Mapping[str, str] | None = None,
        stdin: bool = False,
        stdout: bool = False,
    ) -> ProcessDaemon:
        """Start a daemon in the namespace (`rigs.host.Host.spawn`).

        Its log is ``<name>.log`` in the work directory (``<name>-2.log`` for the second of a name).
        """
        argv = checked_argv(argv, self.name)
        enter = self._enter()
        guarded = [find_program("setpriv", self.name), "--pdeathsig", "KILL", "--"]
        program = find_program(argv[0], self.name, self.workdir)
        log_path, log = self._open_log(paths.checked_name(name, "daemon"))
        try:
            child = await Child.start(
                [*enter, *guarded, program, *argv[1:]],
                env=self._environment(env),
                cwd=self.workdir,
                stdin=stdin,
                stdout=subprocess.PIPE if stdout else log,
                stderr=log,
            )
        finally:
            os.close(log)
        daemon = ProcessDaemon(name, child, lambda: self.get(log_path), self.name)
        self._daemons.append(daemon)
        if child.returncode is None:
            child.on_end = lambda: self._ended(daemon)
        else:  # so short a life that its end came along with its beginning
            asyncio.get_running_loop().call_soon(self._ended, daemon)
        return daemon

    def _open_log(self, name: str) -> tuple[str, int]:
        number = 1
        while True:
            path = os.path.join(
                self.workdir, f"{name}-{number}.log" if number > 1 else f"{name}.log"
            )
            with contextlib.suppress(FileExistsError):
                return path, os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600
                )
            number += 1

    def _ended(self, daemon: ProcessDaemon) -> None:
        if self.on_death is not None and not daemon.stopped_on_purpose and not self._closing:
            self.on_death(daemon)

    async def put(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a file (parents made) in one step: readers see the old or the new one whole."""
        full = paths.resolve(self.workdir, path, self.name)
        try:
            _replace_file(full, data, mode)
        except OSError as error:
            raise RemoteError(f"cannot write {full}: {error.strerror}", where=self.name) from error

    async def get(self, path: str) -> bytes:
        """Read a file; raises RemoteError naming host and path when it cannot be read."""
        full = paths.resolve(self.workdir, path, self.name)
        try:
            return _read_file(full)
        except OSError as error:
            raise RemoteError(f"cannot read {full}: {error.strerror}", where=self.name) from error

    async def remove(self, path: str) -> None:
        """Remove a file or folder; absent is fine. Refuses what holds the work directory."""
        full = paths.resolve_for_removal(self.workdir, path, self.name)
        try:
            _remove_tree(full)
        except OSError as error:
            raise RemoteError(f"cannot remove {full}: {error.strerror}", where=self.name) from error

    async def connect(self, path: str) -> DatagramChannel:
        """Open a channel to the datagram socket at `path`: socket paths know no namespaces."""
        from radios.local_channel import local_connector

        return await local_connector(paths.resolve(self.workdir, path, self.name))

    @property
    def daemons(self) -> tuple[ProcessDaemon, ...]:
        """Every daemon spawned and not yet stopped on purpose, in order."""
        return tuple(daemon for daemon in self._daemons if not daemon.stopped_on_purpose)

    async def close(self) -> None:
        """Stop the daemons, then have the guard remove the rest. Safe to call twice."""
        self._closing = True
        try:
            await asyncio.gather(*(daemon.stop() for daemon in self._daemons))
        finally:
            # Shielded: a second Ctrl-C may cut the waiting short, but not the removal itself.
            await asyncio.shield(asyncio.ensure_future(self._release()))
            for daemon in self._daemons:
                daemon.close()


def command_in(lab_id: str, host: str, *argv: str) -> list[str]:
    """The argv that runs `argv` in a host of a lab that another process keeps (``lab exec``)."""
    namespace = paths.namespace_of(lab_id, host)
    return [find_program("nsenter", host), f"--net=/run/netns/{namespace}", "--", *argv]


def _replace_file(path: str, data: bytes, mode: int) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".put-")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _remove_tree(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
