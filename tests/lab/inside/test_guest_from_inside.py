"""What a run may count on in the guest: mounts, settings, modules, programs, packages, clock."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from mpa_hil.doctor import HOST_PROGRAMS
from rigs.guest.image import PYTHON_LOCK
from rigs.guest.machine import VIRTUAL_EPOCH

KERNEL_MODULES = (
    *("mac80211_hwsim", "veth", "bridge", "dummy", "tun"),
    *("ipip", "ip6_tunnel", "esp4", "esp6", "xfrm_user", "xfrm_interface", "wireguard"),
    *("sch_netem", "sch_plug", "sch_prio", "cls_u32", "cls_flower", "nf_tables"),
    *("ifb", "act_mirred", "sch_ingress"),
)


def mounts() -> dict[str, str]:
    """Mount point -> kind of file system; of two on one point the one on top."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return {line.split()[1]: line.split()[2] for line in lines}


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/", "overlay"),
        ("/run", "tmpfs"),
        ("/tmp", "tmpfs"),
        ("/dev/shm", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/sys/fs/cgroup", "cgroup2"),
        ("/sys/kernel/debug", "debugfs"),
    ],
)
def test_a_file_system_is_mounted(place: str, kind: str) -> None:
    assert mounts().get(place) == kind


def test_no_storage_of_the_host_can_be_waited_for() -> None:
    assert {path.name for path in Path("/sys/block").iterdir()} <= {"pmem0", "pmem1"}


def test_control_sockets_hold_many_messages() -> None:
    assert Path("/proc/sys/net/unix/max_dgram_qlen").read_text() == "512\n"
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        there.setblocking(False)
        for _ in range(200):
            there.send(b"an event that nobody reads")


def test_grace_periods_are_expedited() -> None:
    assert Path("/sys/kernel/rcu_expedited").read_text().strip() == "1" or (
        "rcupdate.rcu_expedited=1" in Path("/proc/cmdline").read_text()
    )


@pytest.mark.parametrize("module", KERNEL_MODULES)
def test_the_kernel_has(module: str) -> None:
    subprocess.run(["modprobe", "--dry-run", module], check=True)


@pytest.mark.parametrize("program", [*HOST_PROGRAMS, "sshd", "eapol_test", "ping"])
def test_a_program_is_installed(program: str) -> None:
    assert shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")


def test_packages_are_those_of_the_lock() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", PYTHON_LOCK.read_text(), re.MULTILINE))
    assert locked
    assert {name: importlib.metadata.version(name) for name in locked} == locked


def test_no_daemon_runs_by_itself() -> None:
    """The packages that start one on a desktop have started none here."""
    names = {
        Path(entry, "comm").read_text().strip()
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and Path(entry, "cmdline").read_bytes()
    }
    assert not names & {"hostapd", "wpa_supplicant", "freeradius", "dnsmasq", "dhcpcd", "sshd"}


def test_the_clock_counts_instructions() -> None:
    """Under the virtual clock idle time costs nothing and is exact."""
    if not time.strftime("%Y-%m-%dT", time.gmtime()).startswith(VIRTUAL_EPOCH[:8]):
        pytest.skip("this guest runs on real time; boot it with the virtual clock")
    started_ns = time.monotonic_ns()
    time.sleep(20)
    assert 0 <= time.monotonic_ns() - started_ns - 20 * 10**9 < 5_000_000
