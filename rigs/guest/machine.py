"""Boots the guest, watches it, and brings the results out.

The guest is one QEMU process. Its first serial line is the kernel's console, kept for its last
lines; the second carries what the job prints. Nothing is shared with the host while it runs: the
root image and the results area are nvdimms, memory to the guest, so that under the virtual clock
no wait for host storage can make time leap. QEMU dies with this process, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import signal
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from radios.errors import MachineError, RemoteError

from . import inside
from .accelerator import CPU, QEMU, Accelerator
from .image import Image
from .patience import Patience, processor_s
from .payload import Job, pack

Clock = Literal["wall", "virtual"]

MEMORY_MIB = 3072
RESULT_AREA = 1 << 30
"""Octets (a sparse file): what one run may bring out, captures included."""
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on tsc=reliable"
    " no_timer_check rcupdate.rcu_expedited=1 net.ifnames=0 cryptomgr.notests preempt=full"
    " norandmaps"
)
"""`panic=-1` with QEMU's -no-reboot ends a panicked guest at once. Expedited RCU grace periods cut
the link-layer switch from 36-44 ms to 12 ms: mac80211 waits for one when it drops a station. With
full preemption a sender of measured packets is at most 0.25 ms late; without, 3.6 ms were seen.
Without random addresses a program lies where it lay before, so TCG finds its translation again:
starting programs takes half the host's time."""
_GIVING_UP = ("Kernel panic", "sysrq: ", "BUG: ", "Oops: ", "Out of memory")
VIRTUAL_EPOCH = "2026-01-01T00:00:00"
"""Where the guest's calendar starts under the virtual clock, so that runs repeat."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run the guest.

    Attributes:
        silence_s: seconds of its own processor time without any output after which the guest counts
            as hung, or of the wall's if it does nothing; None: a lab that stands says nothing for
            hours.
        bound_s: wall seconds that the whole run may take; None: as long as it likes.
        seed: makes the guest's random numbers repeat (virtual clock only).
        epoch: where the guest's calendar starts (virtual clock only), ISO 8601, UTC.
    """

    accelerator: Accelerator
    clock: Clock
    seed: int = 1
    silence_s: float | None = 600.0
    bound_s: float | None = 7200.0
    epoch: str = VIRTUAL_EPOCH


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the job ended: its exit status, and where its files were unpacked."""

    status: int
    out: Path


def command(image: Image, settings: Settings, folder: Path) -> list[str]:
    """The QEMU command line for a guest whose private files are in `folder`."""
    root_size = image.root.stat().st_size
    cpu = CPU[settings.accelerator.name]
    accel = "kvm"
    timing: list[str] = []
    if settings.clock == "virtual":
        # One instruction is one nanosecond, and idle time is skipped: the guest's clock depends
        # on what it executes, never on how busy the host is.
        accel = "tcg,thread=single,tb-size=512"
        timing = ["-icount", "shift=0,sleep=off", "-rtc", f"base={settings.epoch},clock=vm"]
        timing += ["-seed", str(settings.seed)]
        cpu = CPU["tcg"]
    elif settings.accelerator.name == "tcg":
        accel = "tcg,tb-size=512"
    # setpriv makes the kernel kill QEMU when this process is gone, kill -9 included.
    argv = ["setpriv", "--pdeathsig", "KILL", QEMU, "-accel", accel, "-cpu", cpu, "-smp", "1"]
    argv += ["-machine", "pc,nvdimm=on", "-m", f"{MEMORY_MIB}M,slots=4,maxmem=16G"]
    argv += [*timing, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    argv += ["-kernel", str(image.kernel), "-initrd", str(folder / "initrd")]
    argv += ["-append", KERNEL_ARGUMENTS]
    argv += ["-chardev", f"file,id=console,path={folder / 'console'}", "-serial", "chardev:console"]
    argv += ["-chardev", "stdio,id=job,signal=off", "-serial", "chardev:job"]
    backing = f"memory-backend-file,share=off,readonly=on,mem-path={image.root}"
    argv += ["-object", f"{backing},id=root,size={root_size}"]
    argv += ["-device", "nvdimm,memdev=root,unarmed=on,id=pmem0"]
    backing = f"memory-backend-file,share=on,mem-path={folder / 'results'}"
    argv += ["-object", f"{backing},id=results,size={RESULT_AREA}"]
    argv += ["-device", "nvdimm,memdev=results,id=pmem1"]
    argv += ["-device", "virtio-serial-pci"]
    argv += ["-chardev", f"socket,id=exec,path={folder / 'exec'},server=on,wait=off"]
    argv += ["-device", "virtserialport,chardev=exec,nr=1,name=mpa.exec"]
    return argv


async def run(
    image: Image,
    job: Job,
    settings: Settings,
    out: Path,
    output: Callable[[bytes], None],
    folder: Path | None = None,
    inherit: Sequence[int] = (),
) -> Outcome:
    """Boot, run the job, unpack its results below `out`.

    Args:
        output: given what the job prints, as it comes.
        folder: for the guest's private files; a temporary one, removed at the end, by default.
        inherit: descriptors that QEMU holds open as long as it lives; a lock, say.

    Raises:
        MachineError: the guest could not be started, or died before the job's end, or hung; with
            the console's last lines.
        RemoteError: the results are damaged.
    """
    own = folder is None
    place = Path(tempfile.mkdtemp(prefix="mpa-guest-")) if folder is None else folder
    try:
        initrd = image.loader.read_bytes() + pack(job)
        (place / "initrd").write_bytes(initrd)
        with (place / "results").open("wb") as stream:
            stream.truncate(RESULT_AREA)
        await _supervise(command(image, settings, place), place, settings, output, inherit)
        return _collect(place, out)
    except OSError as error:
        raise MachineError(
            f"cannot keep the guest's files: {error.strerror}",
            where=str(error.filename or place),
            remedy="free some space, or set TMPDIR to a folder on a larger disk",
        ) from error
    finally:
        if own:
            shutil.rmtree(place, ignore_errors=True)


async def _supervise(
    argv: list[str],
    folder: Path,
    settings: Settings,
    output: Callable[[bytes], None],
    inherit: Sequence[int],
) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        pass_fds=inherit,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(settings.bound_s):
            await _listen(process.stdout, process.pid, settings.silence_s, output)
            await process.wait()
    except TimeoutError as error:
        bounds = []
        if settings.silence_s is not None:
            bounds.append(f"silent for {settings.silence_s:.0f} s")
        if settings.bound_s is not None:
            bounds.append(f"longer than {settings.bound_s:.0f} s in all")
        raise MachineError(
            f"the guest hung ({' or '.join(bounds)}){last_lines(folder)}",
            where="guest",
            remedy="try again; if it repeats, run with --clock wall",
        ) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
        said = (await errors).decode(errors="replace").strip()
    if process.returncode:
        raise MachineError(
            f"QEMU ended with status {process.returncode}: {said}{last_lines(folder)}",
            where="guest",
            remedy="`mpa-hil doctor` says what this machine can run",
        )


async def _listen(
    stream: asyncio.StreamReader,
    pid: int,
    silence_s: float | None,
    output: Callable[[bytes], None],
) -> None:
    """Hand on what the guest says, until it says no more.

    Raises:
        TimeoutError: it hangs.
    """
    patience = Patience(silence_s or 0.0, lambda: processor_s(pid))
    while True:
        try:
            async with asyncio.timeout(silence_s):
                chunk = await stream.read(65536)
        except TimeoutError:
            if patience.is_over():
                raise
            continue
        if not chunk:
            return
        patience.heard()
        output(chunk)


def last_lines(folder: Path, count: int = 12) -> str:
    """The console's last lines, indented below a heading; empty when it said nothing.

    The line that says why the kernel gave up comes first: registers and call trace follow it.
    """
    try:
        text = (folder / "console").read_text(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    shown = lines[-count:]
    reasons = [line for line in lines[:-count] if any(word in line for word in _GIVING_UP)]
    shown = reasons[:1] + shown
    return "\n  the console's last lines:\n    " + "\n    ".join(shown) if shown else ""


def _unpack(archive: tarfile.TarFile, out: Path) -> None:
    """Take plain files and folders out, and nothing that would land outside `out`.

    `extractall(filter="data")` says it shorter, but Debian 12's Python does not have it.
    """
    for member in archive:
        place = (out / member.name).resolve()
        if not place.is_relative_to(out.resolve()):
            raise tarfile.TarError(f"{member.name} leads out of the folder")
        if member.isdir():
            place.mkdir(parents=True, exist_ok=True)
        elif member.isreg():
            place.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None
            place.write_bytes(content.read())


def _collect(folder: Path, out: Path) -> Outcome:
    """Read header and archive from the results area."""
    with (folder / "results").open("rb") as area:
        header = area.read(inside.HEADER.size)
        magic, status, size = inside.HEADER.unpack(header)
        if magic != inside.MAGIC:
            raise MachineError(
                f"the guest ended before its job did{last_lines(folder)}",
                where="guest",
                remedy="see the lines above; `mpa-hil doctor` says what this machine can run",
            )
        area.seek(inside.DATA_OFFSET)
        archive = area.read(size)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as stream:
            _unpack(stream, out)
    except tarfile.TarError as error:
        raise RemoteError(f"the guest's results are damaged: {error}", where="guest") from error
    return Outcome(status, out)
