"""Turning off the offloads of interfaces that the lab made.

A veth pair passes packets of up to 64 KiB, segmented by nobody, with checksums filled in by nobody.
netem would delay and lose such a lump as one packet, and captures would show it with a wrong
checksum. The ethtool program may be missing, so this speaks its ioctl (linux/ethtool.h), from a
thread that enters the namespace: the socket made there keeps belonging to it.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from radios.errors import MachineError

_SIOCETHTOOL = 0x8946
_CLONE_NEWNET = 0x40000000
_SETTERS = {
    "segmentation (TSO)": 0x1F,  # ETHTOOL_STSO
    "generic segmentation (GSO)": 0x24,  # ETHTOOL_SGSO
    "generic receive (GRO)": 0x2C,  # ETHTOOL_SGRO
    "transmit checksums": 0x17,  # ETHTOOL_STXCSUM; after TSO, which needs it
}


def disable_offloads(namespace: str, interfaces: Sequence[str]) -> None:
    """Turn segmentation, coalescing and transmit checksum offload off.

    Args:
        namespace: a network namespace as ``ip netns`` lists it.
        interfaces: interfaces in it.

    Raises:
        MachineError: the namespace cannot be entered, or an interface refused.
    """
    if not interfaces:
        return
    # A thread of its own, used once: it stays in the namespace for good.
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            control = thread.submit(_socket_in, namespace).result()
        except OSError as error:
            raise MachineError(
                f"cannot enter the namespace: {error.strerror}", where=namespace
            ) from error
    with control:
        for interface in interfaces:
            for what, command in _SETTERS.items():
                _set(control, namespace, interface, what, command)


def _set(control: socket.socket, namespace: str, interface: str, what: str, command: int) -> None:
    value = array.array("I", [command, 0])  # struct ethtool_value
    address, _ = value.buffer_info()
    request = struct.pack("16sP16x", interface.encode(), address)  # struct ifreq
    try:
        fcntl.ioctl(control, _SIOCETHTOOL, request)
    except OSError as error:
        raise MachineError(
            f"{what} offload cannot be turned off: {error.strerror}",
            where=f"{namespace}: {interface}",
        ) from error


def _socket_in(namespace: str) -> socket.socket:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
