"""The guest's own main program: runs the job that came with the payload and hands back its results.

Standard library only, for it runs before anything else and Python is slow here. The job is
``/run/payload/job.json``: ``{"argv": [...], "env": {...}, "out": "/run/out"}``. What the command
prints goes to the second serial line; what it leaves below ``out`` goes, as a tar archive, into the
second nvdimm, which is a file on the host: memory, so the guest's clock never waits for storage.

With ``"serve": true`` the program also answers `rigs.guest.remote` on a virtio serial port
(`rigs.guest.serving`): that is how a lab that was left running is explored.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tarfile
import threading

JOB = "/run/payload/job.json"
RESULT_DEVICE = "/dev/pmem1"
MAGIC = b"MPAGUEST"
HEADER = struct.Struct("!8siQ")
"""Magic, the job's exit status, octets of tar archive that follow at `DATA_OFFSET`."""
DATA_OFFSET = 4096
PACKETS = 15
"""SCHED_RR priority of the packet threads; `rigs.priority` has the others."""


class _Counted:
    """Writes through to the device and counts, so the header can say how much is there."""

    def __init__(self, stream) -> None:  # type: ignore[no-untyped-def]
        self._stream = stream
        self.written = 0

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self.written += len(data)
        return len(data)


def prefer_packets() -> None:
    """Let the kernel's packet threads go before the daemons that run in real time.

    Once such a thread has been woken, every packet waits for it, and it would wait for all of
    them: here one processor is every box's.
    """
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/comm", encoding="ascii", errors="replace") as name:
                if name.read().startswith("ksoftirqd/"):
                    os.sched_setscheduler(int(process), os.SCHED_RR, os.sched_param(PACKETS))
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile


def run_job(job: dict[str, object]) -> int:
    """Run the job's command to its end; its exit status (128 + signal when one ended it)."""
    argv = job["argv"]
    assert isinstance(argv, list)
    extra = job.get("env", {})
    assert isinstance(extra, dict)
    os.makedirs(str(job["out"]), exist_ok=True)
    try:
        ended = subprocess.run(argv, env={**os.environ, **extra}, cwd="/run/payload/code")
    except OSError as error:
        print(f"the guest cannot run {argv[0]}: {error}", file=sys.stderr)
        return 127
    return ended.returncode if ended.returncode >= 0 else 128 - ended.returncode


def deliver(status: int, folder: str) -> None:
    """Put the exit status and everything below `folder` where the host reads it."""
    with open(RESULT_DEVICE, "r+b", buffering=1 << 20) as device:
        device.seek(DATA_OFFSET)
        counted = _Counted(device)
        with tarfile.open(fileobj=counted, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
            archive.add(folder, arcname=".")
        device.flush()
        device.seek(0)
        device.write(HEADER.pack(MAGIC, status, counted.written))
        device.flush()
        os.fsync(device.fileno())


def main() -> None:
    """Run the job, then deliver; the machine is switched off by the boot script."""
    with open(JOB, encoding="utf-8") as stream:
        job = json.load(stream)
    prefer_packets()
    if job.get("serve"):
        from . import serving

        port = serving.open_port()
        threading.Thread(target=serving.serve, args=(port,), daemon=True).start()
    status = run_job(job)
    deliver(status, str(job["out"]))


if __name__ == "__main__":
    main()
