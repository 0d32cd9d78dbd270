"""The real machine behind `mpa_hil.doctor`: looks, and changes nothing."""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from .doctor import Probes

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Daemons live in the sbin folders, which are not on an ordinary user's path."""
SUBORDINATE = (Path("/etc/subuid"), Path("/etc/subgid"))


def real() -> Probes:
    """The probes that look at this machine."""
    return Probes(
        is_root=lambda: os.geteuid() == 0,
        user=_user,
        which=_which,
        module_loadable=_module_loadable,
        accelerator=_accelerator,
        image_path=_image_path,
        subordinate_ids=lambda: all(_lists_user(path, _user()) for path in SUBORDINATE),
        python_module=lambda name: importlib.util.find_spec(name) is not None,
        radios=_radios,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _which(program: str) -> bool:
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    return shutil.which(program, path=path) is not None


def _module_loadable(name: str) -> str:
    if Path("/sys/module", name).exists():
        return ""
    modprobe = shutil.which("modprobe", path=SYSTEM_PATH)
    if modprobe is None:
        return "not loaded, and there is no modprobe (package kmod)"
    ended = subprocess.run(
        [modprobe, "--dry-run", "--quiet", name], stdin=subprocess.DEVNULL, capture_output=True
    )
    if ended.returncode == 0:
        return ""
    return f"this kernel ({os.uname().release}) has no such module"


def _accelerator() -> tuple[str, str]:
    from rigs.guest import accelerator

    found = accelerator.probe()
    return found.name, found.reason


def _image_path() -> str:
    from rigs.guest import image

    found = image.find()
    return str(found.folder) if found else ""


def _lists_user(path: Path, user: str) -> bool:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.split(":", 1)[0] in (user, str(os.getuid())) for line in lines)


def _radios() -> tuple[str, ...]:
    """Interfaces that an 802.11 driver stands behind."""
    return tuple(sorted(path.parent.name for path in Path("/sys/class/net").glob("*/phy80211")))
