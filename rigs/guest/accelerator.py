"""Which accelerator really runs a guest here, found by running one.

A usable `/dev/kvm` cannot be told by looking at it: nested or restricted hosts offer a device whose
guests abort or hang in the firmware. So a machine of a few octets is booted under each candidate,
with a bound on the time: its boot sector writes a number to QEMU's debug-exit port, and only that
number coming back as QEMU's exit status counts as "runs". Where KVM passes this, it must also boot
the guest's kernel as far as its first program (`trial_kernel`); the verdict is kept until this
machine reboots, because a KVM that hangs would cost its bound at every run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from radios.errors import MachineError

from . import image

Name = Literal["kvm", "tcg"]

QEMU = "qemu-system-x86_64"
KVM_DEVICE = "/dev/kvm"
PROBE_MARK = b"mpa-guest: alive"
PROBE_BOUND_S = 20.0
"""A healthy probe takes 0.2 s under KVM and 1 s under TCG; a hung firmware never ends."""

CPU: dict[Name, str] = {"kvm": "host", "tcg": "max,la57=off"}
"""The guest's processor: all there is, less five-level paging, which only costs time."""

_EXIT_PORT = 0xF4
_CODE = 0x2A
_EXIT_STATUS = (_CODE << 1) | 1
"""isa-debug-exit's arithmetic: status = (value written << 1) | 1."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """The accelerator to use, and why not the faster one."""

    name: Name
    reason: str


def boot_sector() -> bytes:
    """512 octets of real-mode code: out 0xF4, 0x2A; then halt for ever."""
    code = bytes((0xB0, _CODE, 0xE6, _EXIT_PORT, 0xFA, 0xF4, 0xEB, 0xFD))
    return code.ljust(510, b"\0") + b"\x55\xaa"


def trial(name: Name, bound_s: float = PROBE_BOUND_S) -> str:
    """Boot the probe under an accelerator; an empty text when it ran, else why it did not."""
    if shutil.which(QEMU) is None:
        return f"{QEMU} is not installed"
    if name == "kvm":
        if not os.path.exists(KVM_DEVICE):
            return f"no {KVM_DEVICE}"
        if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
            return f"{KVM_DEVICE} may not be opened by this user"
    with tempfile.TemporaryDirectory(prefix="mpa-probe-") as folder:
        disk = Path(folder) / "boot"
        disk.write_bytes(boot_sector())
        command = [QEMU, "-accel", name, "-m", "64", "-nodefaults", "-display", "none"]
        command += ["-no-user-config", "-no-reboot", "-cpu", CPU[name]]
        command += ["-drive", f"file={disk},format=raw,if=ide,snapshot=on"]
        command += ["-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=1"]
        try:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=bound_s
            )
        except subprocess.TimeoutExpired:
            return f"the trial guest hung for {bound_s:.0f} s"
    if ended.returncode == _EXIT_STATUS:
        return ""
    said = ended.stderr.decode(errors="replace").strip().splitlines()
    return f"the trial guest did not run: {said[-1] if said else f'status {ended.returncode}'}"


def trial_kernel(kernel: Path, loader: Path, bound_s: float = PROBE_BOUND_S) -> str:
    """Boot the guest's own kernel under KVM to its first program; empty when it got there."""
    command = [QEMU, "-accel", "kvm", "-cpu", CPU["kvm"], "-m", "512", "-nodefaults"]
    command += ["-display", "none", "-no-user-config", "-no-reboot", "-serial", "stdio"]
    command += ["-kernel", str(kernel), "-initrd", str(loader)]
    command += ["-append", "console=ttyS0 quiet panic=-1 mpa.probe"]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=bound_s
        )
    except subprocess.TimeoutExpired:
        return f"the guest's kernel hung for {bound_s:.0f} s"
    if PROBE_MARK in ended.stdout:
        return ""
    said = ended.stderr.decode(errors="replace").strip().splitlines()
    return f"the guest's kernel did not start: {said[-1] if said else 'no output'}"


@cache
def probe() -> Accelerator:
    """The fastest accelerator that runs a guest, tried once per process.

    Raises:
        MachineError: none does.
    """
    no_kvm = trial("kvm") or _kernel_verdict()
    if not no_kvm:
        return Accelerator("kvm", "KVM runs a guest")
    no_tcg = trial("tcg")
    if not no_tcg:
        return Accelerator("tcg", no_kvm)
    install = "sudo apt-get install --no-install-recommends qemu-system-x86"
    raise MachineError(
        f"no virtual machine runs here: KVM: {no_kvm}; TCG: {no_tcg}",
        remedy=install if shutil.which(QEMU) is None else f"see what it says: {QEMU} -accel tcg",
    )


def _kernel_verdict() -> str:
    """`trial_kernel`'s answer for the image in the cache, asked once per boot of this machine."""
    built = image.find()
    if built is None:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kept = image.cache_folder() / f"kvm-{built.folder.name}-{boot}"
    if kept.is_file():
        return kept.read_text()
    verdict = trial_kernel(built.kernel, built.loader)
    kept.write_text(verdict)
    return verdict
