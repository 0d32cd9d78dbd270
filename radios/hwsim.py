"""Virtual radios of mac80211_hwsim: make, remove, and set what they hear of each other.

Numbers: drivers/net/wireless/mac80211_hwsim.h of the kernel. Radios of different *birth* namespaces
never hear each other, so they are all made in one namespace and then moved (`radios.nl80211`).

A radio lives as long as the netlink socket that it was ordered on, which its `Radio` holds: when
the process that made it goes, however it goes, the radio goes too, in whatever namespace it is
then. An order to remove it would only be obeyed from that namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from radios.errors import LocalError, MachineError, MpaError
from radios.genetlink import Attribute, GenericNetlink, kernel_error, text, u32
from radios.wpa_text import mac_address

FAMILY = "MAC80211_HWSIM"
MODULE = "mac80211_hwsim"
COMMAND_NEW_RADIO = 4
ATTRIBUTE_CHANNELS = 9
ATTRIBUTE_DESTROY_ON_CLOSE = 16
ATTRIBUTE_RADIO_NAME = 17
ATTRIBUTE_NO_INTERFACE = 18
ATTRIBUTE_PERMANENT_ADDRESS = 22

DEBUGFS = Path("/sys/kernel/debug")
CLASS_FOLDER = Path("/sys/class/ieee80211")
MONITOR = "hwsim0"
"""The interface on which every frame in the air is seen, with a radiotap header."""

RX_RSSI_RANGE = (-100, -1)
"""What the kernel accepts as rx_rssi, in dBm."""
DEFAULT_TRANSMIT_POWER_DBM = 20
"""Transmit power of a hwsim radio on channels without a lower regulatory limit."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")


@dataclass(frozen=True, slots=True)
class Radio:
    """A virtual radio as it was made.

    Attributes:
        number: hwsim's own number.
        phy: name of its wireless device (`/sys/class/ieee80211/PHY`).
        index: the wireless device's number in nl80211.
        interface: the network interface made with it, "" if none.
        address: permanent MAC address.
        keeper: the socket that keeps it alive.
    """

    number: int
    phy: str
    index: int
    interface: str
    address: str
    keeper: GenericNetlink = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Level:
    """How to make receivers see a signal: rx_rssi of the sender plus its transmit power (dBm)."""

    rx_rssi_dbm: int
    transmit_power_dbm: int


def level_for(signal_dbm: int) -> Level:
    """The sender's setting for a wanted signal at every receiver.

    The kernel adds the transmit power to rx_rssi, so below -80 dBm the power must go down too.

    Raises:
        LocalError: outside -100..-10 dBm.
    """
    if not -100 <= signal_dbm <= -10:
        raise LocalError(f"a signal of {signal_dbm} dBm; hwsim gives -100 to -10")
    power_dbm = min(DEFAULT_TRANSMIT_POWER_DBM, signal_dbm - RX_RSSI_RANGE[0])
    return Level(signal_dbm - power_dbm, power_dbm)


def encode_rx_rssi(rx_rssi_dbm: int) -> str:
    """An rx_rssi as the kernel's file takes it: two's complement, as an unsigned 64-bit number.

    Raises:
        LocalError: outside what the kernel accepts.
    """
    low, high = RX_RSSI_RANGE
    if not low <= rx_rssi_dbm <= high:
        raise LocalError(f"rx_rssi of {rx_rssi_dbm} dBm; the kernel takes {low} to {high}")
    return str(rx_rssi_dbm & 0xFFFF_FFFF_FFFF_FFFF)


def new_radio_attributes(
    name: str, address: str, *, channels: int = 1, interface: bool = True
) -> list[Attribute]:
    """The attributes of NEW_RADIO.

    Raises:
        LocalError: a name, address or number of channels that the kernel would refuse or misread.
    """
    if not _NAME.fullmatch(name) or re.fullmatch(r"phy\d+", name):
        raise LocalError(
            f"{name!r} cannot name a radio",
            remedy="1 to 15 letters, digits, dots and dashes, not phyN, which the kernel keeps",
        )
    octets = bytes.fromhex(mac_address(address).replace(":", ""))
    if octets[0] & 1 or not any(octets):
        raise LocalError(f"{address} is a group address or zero, not a radio's")
    if channels < 1:
        raise LocalError(f"{channels} channels; a radio has 1 or more")
    attributes = [
        (ATTRIBUTE_CHANNELS, u32(channels)),
        (ATTRIBUTE_RADIO_NAME, text(name)),
        (ATTRIBUTE_PERMANENT_ADDRESS, octets),
        (ATTRIBUTE_DESTROY_ON_CLOSE, b""),
    ]
    return attributes if interface else [*attributes, (ATTRIBUTE_NO_INTERFACE, b"")]


def load_module() -> None:
    """Load mac80211_hwsim without radios of its own; nothing if it is loaded.

    Raises:
        MachineError: not root, no such module, or it does not load.
    """
    if Path("/sys/module", MODULE).is_dir():
        return
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if modprobe is None:
        raise MachineError("modprobe is not installed", remedy="apt-get install kmod")
    ended = subprocess.run(
        [modprobe, MODULE, "radios=0"], capture_output=True, text=True, timeout=30, check=False
    )
    if ended.returncode:
        raise MachineError(
            f"{MODULE} does not load: {ended.stderr.strip() or ended.returncode}",
            remedy="run as root on a kernel that has the module, or use the guest rig",
        )


def mount_debugfs(debugfs: Path = DEBUGFS) -> None:
    """Mount debugfs if nothing is there: signal and range are files in it.

    Raises:
        MachineError: not root, or the kernel has none.
    """
    if debugfs.is_dir() and any(debugfs.iterdir()):
        return
    # By system call: a minimal system has no mount(8).
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(debugfs), b"debugfs", 0, None):
        number = ctypes.get_errno()
        if number != errno.EBUSY:  # somebody else was faster
            raise MachineError(
                f"debugfs does not mount: {os.strerror(number)}",
                where=str(debugfs),
                remedy="run as root on a kernel with CONFIG_DEBUG_FS and without lockdown",
            )


def create(name: str, address: str, *, channels: int = 1, interface: bool = True) -> Radio:
    """Make a radio in the current network namespace.

    Raises:
        LocalError: a bad name or address, or a name already taken.
        MachineError: the module is not loaded, or not root.
    """
    attributes = new_radio_attributes(name, address, channels=channels, interface=interface)
    if (CLASS_FOLDER / name).exists():
        raise LocalError("a radio of this name exists", where=name, remedy="remove it first")
    if mac_address(address) in _addresses():
        # The kernel would take it, and deliver to neither reliably.
        raise LocalError("another radio has this MAC address", where=f"{name}, {address}")
    netlink = GenericNetlink(FAMILY, MODULE, port=_own_port())
    try:
        number = netlink.request(COMMAND_NEW_RADIO, attributes)
        return _describe(number, name, mac_address(address), netlink)
    except OSError as error:
        netlink.close()
        raise _creation_error(error, name) from error
    except BaseException:
        netlink.close()
        raise


def remove(radio: Radio) -> None:
    """Remove a radio, in whatever namespace it is now; gone already is fine."""
    radio.keeper.close()


def remove_all(radios: Sequence[Radio]) -> None:
    """Remove radios, the last made first; every one is tried before an error is raised."""
    with contextlib.ExitStack() as stack:
        for radio in radios:
            stack.callback(remove, radio)


def set_rx_rssi(phy: str, rx_rssi_dbm: int, debugfs: Path = DEBUGFS) -> None:
    """Set what every receiver sees of this *transmitting* radio, less its transmit power."""
    _write(_folder(phy, debugfs) / "rx_rssi", encode_rx_rssi(rx_rssi_dbm))


def rx_rssi_path(phy: str, debugfs: Path = DEBUGFS) -> Path:
    """The file behind `set_rx_rssi`, for a process that writes it often and keeps it open."""
    return _folder(phy, debugfs) / "rx_rssi"


def set_group(phy: str, mask: int, debugfs: Path = DEBUGFS) -> None:
    """Set which radios this one hears: those with a common bit. 0 is out of everybody's range."""
    if not 0 <= mask < 1 << 64:
        raise LocalError(f"group mask {mask:#x} does not fit 64 bits")
    _write(_folder(phy, debugfs) / "group", str(mask))


def group_path(phy: str, debugfs: Path = DEBUGFS) -> Path:
    """The file behind `set_group`, for a process that writes it often and keeps it open."""
    return _folder(phy, debugfs) / "group"


def transmit_power_command(interface: str, power_dbm: int) -> tuple[str, ...]:
    """The command that sets a radio's transmit power, to run where its interface is."""
    if not 0 <= power_dbm <= 30:
        raise LocalError(f"a transmit power of {power_dbm} dBm; 0 to 30 are possible")
    return ("iw", "dev", interface, "set", "txpower", "fixed", str(100 * power_dbm))


def monitor_command() -> tuple[str, ...]:
    """The command that brings up `MONITOR`, in the namespace where the module was loaded."""
    return ("ip", "link", "set", MONITOR, "up")


def _own_port() -> int:
    """A netlink port that nobody else has.

    The kernel removes the radios of a port when *any* netlink socket with that number closes, and
    it gives the process id to the first socket of each kind. Those end at 2^22, and the numbers
    that it draws beyond them have the highest bit set.
    """
    return 1 << 30 | secrets.randbits(30)


def _describe(number: int, name: str, address: str, keeper: GenericNetlink) -> Radio:
    folder = CLASS_FOLDER / name
    try:
        index = int((folder / "index").read_text(encoding="ascii"))
        interfaces = folder / "device" / "net"
        names = sorted(each.name for each in interfaces.iterdir()) if interfaces.is_dir() else []
    except (OSError, ValueError) as error:
        raise MachineError(
            f"the new radio does not show in sysfs: {error}",
            where=str(folder),
            remedy="mount sysfs of this network namespace on /sys",
        ) from error
    return Radio(number, name, index, names[0] if names else "", address, keeper)


def _addresses() -> set[str]:
    """Permanent addresses of the wireless devices of this network namespace."""
    files = CLASS_FOLDER.glob("*/macaddress")
    return {file.read_text(encoding="ascii").strip().lower() for file in files}


def _creation_error(error: OSError, name: str) -> MpaError:
    if error.errno in (errno.EEXIST, errno.ENFILE):
        return LocalError(
            "the name or the MAC address is taken by another radio",
            where=f"radio {name}",
            remedy="give each radio its own",
        )
    return kernel_error(error, f"radio {name}")


def _folder(phy: str, debugfs: Path) -> Path:
    if not _NAME.fullmatch(phy):
        raise LocalError(f"{phy!r} is no wireless device's name")
    return debugfs / "ieee80211" / phy / "hwsim"


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value, encoding="ascii")
    except FileNotFoundError as error:
        raise MachineError(
            "no such hwsim radio in debugfs",
            where=str(path),
            remedy="call mount_debugfs first; then see whether the radio exists (`iw phy`)",
        ) from error
    except PermissionError as error:
        raise MachineError("debugfs is root's", where=str(path), remedy="run as root") from error
    except OSError as error:
        raise kernel_error(error, str(path)) from error
