"""The kernel's own view of a radio: signal, noise per channel, what the driver can do.

Dumps are read with pyroute2, imported when first used; they are synchronous and act in the caller's
network namespace, so an asyncio program calls them in a thread (`asyncio.to_thread`). Decoding is
apart from reading, and takes anything with pyroute2's `get_attr`.

Numbers: include/uapi/linux/nl80211.h of the kernel.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from radios.errors import LocalError, MachineError, MpaError
from radios.genetlink import GenericNetlink, kernel_error, u32
from radios.signal import SignalSample, known_noise, sample, signed_octet

FAMILY = "nl80211"
MODULE = "cfg80211"
SET_WIPHY_NETNS = 49
ATTRIBUTE_WIPHY = 1
ATTRIBUTE_PID = 82
ATTRIBUTE_NETNS_FD = 219

AKM_SUITES = {
    0x000FAC01: "802.1X",
    0x000FAC02: "PSK",
    0x000FAC03: "FT-802.1X",
    0x000FAC04: "FT-PSK",
    0x000FAC05: "802.1X-SHA256",
    0x000FAC06: "PSK-SHA256",
    0x000FAC08: "SAE",
    0x000FAC09: "FT-SAE",
    0x000FAC0B: "SUITE-B",
    0x000FAC0C: "SUITE-B-192",
    0x000FAC12: "OWE",
}
"""Key management suite selectors (IEEE 802.11 table 9-151)."""

EXTENDED_FEATURES = {
    13: "cqm-rssi-list",
    15: "4way-handshake-station-psk",
    16: "4way-handshake-station-802.1x",
    26: "control-port-over-nl80211",
    27: "ack-signal",
    34: "ap-pmksa-caching",
    38: "sae-offload",
}
"""enum nl80211_ext_feature_index: the ones that matter for a handover."""


class Attributed(Protocol):
    """What pyroute2's messages and nested attributes offer."""

    def get_attr(self, name: str, default: Any = None) -> Any:
        """An attribute's value by name."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A wireless interface; `frequency_mhz` is None while it has no channel."""

    name: str
    index: int
    phy: int
    address: str
    frequency_mhz: int | None


@dataclass(frozen=True, slots=True)
class ChannelSurvey:
    """What a radio knows of one channel; times in ms since it began to count."""

    frequency_mhz: int
    noise_dbm: int | None
    in_use: bool
    active_ms: int | None
    busy_ms: int | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver says that it can do.

    Attributes:
        frequencies_mhz: enabled channels of all bands.
        max_scan_ssids: SSIDs that one scan may probe for.
        ciphers, key_managements: by name; unknown suites as hex. Drivers rarely list the latter.
        roams_itself: the firmware changes access points by its own will: a handover under somebody
            else's control then needs roaming switched off in the driver.
        features: names of EXTENDED_FEATURES that it has.
    """

    phy: int
    name: str
    frequencies_mhz: tuple[int, ...]
    max_scan_ssids: int
    ciphers: tuple[str, ...]
    key_managements: tuple[str, ...]
    roams_itself: bool
    features: frozenset[str]


def interfaces() -> tuple[Interface, ...]:
    """The wireless interfaces of this network namespace."""
    with _Reader() as reader:
        return tuple(decode_interface(message) for message in reader.dump("GET_INTERFACE"))


def station_signals(interface: str, *, noise: bool = True) -> tuple[SignalSample, ...]:
    """The signal of every peer of an interface: of its access point, on a station.

    Args:
        noise: also read the survey, for the noise on the channel in use.
    """
    index = interface_index(interface)
    with _Reader() as reader:
        stations = reader.dump("GET_STATION", index)
        t_ns = time.monotonic_ns()
        here = [decode_interface(each) for each in reader.dump("GET_INTERFACE")]
        frequency_mhz = next((each.frequency_mhz for each in here if each.index == index), None)
        surveys = tuple(_surveys(reader.dump("GET_SURVEY", index))) if noise else ()
    used = next((each for each in surveys if each.frequency_mhz == frequency_mhz), None)
    noise_dbm = used.noise_dbm if used else None
    return tuple(decode_station(each, t_ns, frequency_mhz, noise_dbm) for each in stations)


def survey(interface: str) -> tuple[ChannelSurvey, ...]:
    """Noise and load per channel; empty on many drivers, and before the first scan."""
    with _Reader() as reader:
        return tuple(_surveys(reader.dump("GET_SURVEY", interface_index(interface))))


def capabilities() -> tuple[Capabilities, ...]:
    """What each wireless device of this network namespace can do."""
    with _Reader() as reader:
        return decode_capabilities(reader.dump("GET_WIPHY", split=True))


def phys(class_folder: Path = Path("/sys/class/ieee80211")) -> dict[str, int]:
    """Name and number of each wireless device of this network namespace, from sysfs."""
    if not class_folder.is_dir():
        return {}
    return {
        folder.name: int((folder / "index").read_text(encoding="ascii"))
        for folder in sorted(class_folder.iterdir())
    }


def move_phy(phy: int, *, pid: int | None = None, namespace: str | None = None) -> None:
    """Move a wireless device, with its interfaces, into another network namespace.

    The device must be in the caller's namespace now. Its interfaces arrive there down.

    Args:
        pid: of a process in the target namespace, or
        namespace: path of the target, such as /run/netns/mn.

    Raises:
        MachineError: no such device here, or not root.
        RemoteError: the kernel refused, for instance because the driver cannot be moved.
    """
    if (pid is None) == (namespace is None):
        raise LocalError("move_phy needs a pid or a namespace, one of them")
    where = f"phy {phy}"
    try:
        with GenericNetlink(FAMILY, MODULE) as netlink:
            if namespace is None:
                target = (ATTRIBUTE_PID, u32(pid or 0))
                netlink.request(SET_WIPHY_NETNS, [(ATTRIBUTE_WIPHY, u32(phy)), target])
                return
            descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            try:
                target = (ATTRIBUTE_NETNS_FD, u32(descriptor))
                netlink.request(SET_WIPHY_NETNS, [(ATTRIBUTE_WIPHY, u32(phy)), target])
            finally:
                os.close(descriptor)
    except OSError as error:
        raise kernel_error(error, f"{where} to {namespace or pid}") from error


def interface_index(interface: str) -> int:
    """The number of a network interface; MachineError when it is not here."""
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise MachineError(
            "there is no such interface in this network namespace",
            where=interface,
            remedy="list the wireless ones with `iw dev`",
        ) from error


def decode_interface(message: Attributed) -> Interface:
    """NEW_INTERFACE."""
    return Interface(
        name=message.get_attr("NL80211_ATTR_IFNAME") or "",
        index=message.get_attr("NL80211_ATTR_IFINDEX") or 0,
        phy=message.get_attr("NL80211_ATTR_WIPHY") or 0,
        address=message.get_attr("NL80211_ATTR_MAC") or "",
        frequency_mhz=message.get_attr("NL80211_ATTR_WIPHY_FREQ"),
    )


def decode_station(
    message: Attributed, t_ns: int, frequency_mhz: int | None, noise_dbm: int | None
) -> SignalSample:
    """NEW_STATION, with what its interface is tuned to and the noise there."""
    info = message.get_attr("NL80211_ATTR_STA_INFO")

    def reading(name: str) -> int | None:
        value = info.get_attr(f"NL80211_STA_INFO_{name}") if info is not None else None
        return None if value is None else signed_octet(int(value))

    return sample(
        t_ns,
        message.get_attr("NL80211_ATTR_MAC") or "",
        frequency_mhz,
        reading("SIGNAL"),
        source="nl80211",
        average_dbm=reading("SIGNAL_AVG"),
        beacon_average_dbm=reading("BEACON_SIGNAL_AVG"),
        noise_dbm=noise_dbm,
    )


def decode_survey(message: Attributed) -> ChannelSurvey | None:
    """NEW_SURVEY_RESULTS, None if it names no channel."""
    info = message.get_attr("NL80211_ATTR_SURVEY_INFO")
    frequency = info.get_attr("NL80211_SURVEY_INFO_FREQUENCY") if info is not None else None
    if frequency is None:
        return None
    noise = info.get_attr("NL80211_SURVEY_INFO_NOISE")
    return ChannelSurvey(
        frequency_mhz=frequency,
        noise_dbm=None if noise is None else known_noise(signed_octet(int(noise))),
        in_use=bool(info.get_attr("NL80211_SURVEY_INFO_IN_USE")),
        active_ms=info.get_attr("NL80211_SURVEY_INFO_TIME"),
        busy_ms=info.get_attr("NL80211_SURVEY_INFO_TIME_BUSY"),
    )


def decode_capabilities(messages: Iterable[Attributed]) -> tuple[Capabilities, ...]:
    """NEW_WIPHY; a split dump describes one device in many messages, which are put together."""
    parts: dict[int, list[Attributed]] = {}
    for message in messages:
        parts.setdefault(message.get_attr("NL80211_ATTR_WIPHY") or 0, []).append(message)
    return tuple(_capabilities(phy, of_phy) for phy, of_phy in sorted(parts.items()))


def _capabilities(phy: int, messages: list[Attributed]) -> Capabilities:
    def first(name: str) -> Any:
        values = (message.get_attr(f"NL80211_ATTR_{name}") for message in messages)
        return next((value for value in values if value is not None), None)

    frequencies = {each for message in messages for each in _frequencies(message)}
    bits = int.from_bytes(_octets(first("EXT_FEATURES")), "little")
    return Capabilities(
        phy=phy,
        name=first("WIPHY_NAME") or "",
        frequencies_mhz=tuple(sorted(frequencies)),
        max_scan_ssids=first("MAX_NUM_SCAN_SSIDS") or 0,
        ciphers=_cipher_names(first("CIPHER_SUITES")),
        key_managements=_key_managements(first("AKM_SUITES")),
        roams_itself=first("ROAM_SUPPORT") is not None,
        features=frozenset(name for bit, name in EXTENDED_FEATURES.items() if bits >> bit & 1),
    )


def _frequencies(message: Attributed) -> Iterator[int]:
    for band in message.get_attr("NL80211_ATTR_WIPHY_BANDS") or ():
        for channel in band.get_attr("NL80211_BAND_ATTR_FREQS") or ():
            frequency = channel.get_attr("NL80211_FREQUENCY_ATTR_FREQ")
            if frequency and not channel.get_attr("NL80211_FREQUENCY_ATTR_DISABLED"):
                yield frequency


def _cipher_names(names: list[str] | None) -> tuple[str, ...]:
    """pyroute2 names the ciphers after the kernel's constants; here, after the standard."""
    plain = [str(each).removeprefix("WLAN_CIPHER_SUITE_").replace("_", "-") for each in names or ()]
    return tuple("BIP-CMAC-128" if each == "AES-CMAC" else each for each in plain)


def _key_managements(value: Any) -> tuple[str, ...]:
    octets = _octets(value)
    numbers = (each[0] for each in struct.iter_unpack("=I", octets[: len(octets) // 4 * 4]))
    return tuple(AKM_SUITES.get(number, f"{number:08x}") for number in numbers)


def _octets(value: Any) -> bytes:
    """An attribute that pyroute2 leaves undecoded: octets, or its text `aa:bb:..`."""
    if value is None:
        return b""
    return value if isinstance(value, bytes) else bytes.fromhex(str(value).replace(":", ""))


def _surveys(messages: Iterable[Attributed]) -> Iterator[ChannelSurvey]:
    for message in messages:
        if (channel := decode_survey(message)) is not None:
            yield channel


class _Reader:
    """An open nl80211 socket of pyroute2."""

    def __enter__(self) -> _Reader:
        from pyroute2.iwutil import IW
        from pyroute2.netlink.exceptions import NetlinkError

        self._error = NetlinkError
        open_socket: Any = IW  # pyroute2 is untyped
        try:
            self._socket = open_socket()
        except NetlinkError as error:
            raise self._explain(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def dump(
        self, command: str, index: int | None = None, *, split: bool = False
    ) -> list[Attributed]:
        from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST
        from pyroute2.netlink.nl80211 import NL80211_NAMES, nl80211cmd

        make_message: Any = nl80211cmd
        message = make_message()
        message["cmd"] = NL80211_NAMES[f"NL80211_CMD_{command}"]
        message["attrs"] = []
        if index is not None:
            message["attrs"].append(["NL80211_ATTR_IFINDEX", index])
        if split:
            message["attrs"].append(["NL80211_ATTR_SPLIT_WIPHY_DUMP", ""])
        try:
            answers = self._socket.nlm_request(
                message, msg_type=self._socket.prid, msg_flags=NLM_F_REQUEST | NLM_F_DUMP
            )
            return list(answers)
        except self._error as error:
            raise self._explain(error) from error

    def _explain(self, error: Any) -> MpaError:
        number = getattr(error, "code", 0)
        if number == 2:  # ENOENT, from looking the family up
            return MachineError(
                "this kernel has no wireless stack (nl80211)",
                remedy=f"modprobe {MODULE}, or use the guest rig",
            )
        return kernel_error(OSError(number, os.strerror(number)), "nl80211")
