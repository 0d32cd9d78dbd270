"""wpa_supplicant's verbs, typed, on a `ControlClient`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from radios import replies, wpa_events
from radios.control import ControlClient, Event, Refused
from radios.errors import LocalError, RemoteError
from radios.profile import NetworkProfile, frequency_mhz
from radios.signal import SignalSample, sample
from radios.wpa_text import command, hex_value, mac_address, required_integer

MAX_PMKSA = 32
"""wpa_supplicant keeps this many cached PMKs and evicts the oldest beyond (hostap source)."""

AKM_8021X = 1 << 0
"""WPA_KEY_MGMT_IEEE8021X, the AKMP number of PMKSA_ADD for plain WPA2-Enterprise (hostap)."""
AKM_8021X_SHA256 = 1 << 7
"""WPA_KEY_MGMT_IEEE8021X_SHA256."""


class Supplicant:
    """One interface of a wpa_supplicant. Verbs raise as `ControlClient.request` does."""

    def __init__(self, control: ControlClient) -> None:
        self.control = control

    async def status(self) -> replies.Status:
        """What it is doing."""
        return replies.parse_status(await self.control.request("STATUS"))

    async def add_network(self, profile: NetworkProfile) -> int:
        """Add a network block, disabled; its id. Nothing stays behind if a field is refused."""
        fields = profile.fields()
        number = required_integer(await self.control.request("ADD_NETWORK"), "a network id")
        try:
            for name, value in fields:
                await self.set_network(number, name, value)
        except BaseException:
            await self.remove_network(number)
            raise
        return number

    async def set_network(self, network_id: int, name: str, value: str) -> None:
        """Set one field to its literal value (see `radios.wpa_text.string_value` for strings)."""
        await self.control.command("SET_NETWORK", network_id, name, value)

    async def networks(self) -> tuple[replies.ListedNetwork, ...]:
        """The network blocks."""
        return replies.parse_networks(await self.control.request("LIST_NETWORKS"))

    async def select_network(self, network_id: int, *, frequencies_mhz: Sequence[int] = ()) -> None:
        """Join this network and disable the others; with `frequencies_mhz` scan only those."""
        await self.control.command(*_select_words(network_id, frequencies_mhz))

    @staticmethod
    def select_command(network_id: int, frequencies_mhz: Sequence[int] = ()) -> bytes:
        """`select_network` as a prepared datagram for `ControlClient.request_now`."""
        return command(*_select_words(network_id, frequencies_mhz))

    async def enable_network(self, network_id: int, *, connect: bool = True) -> None:
        """Allow this network beside the others; without `connect` start nothing by it."""
        words: tuple[str | int, ...] = ("ENABLE_NETWORK", network_id)
        await self.control.command(*words, *(() if connect else ("no-connect",)))

    async def disable_network(self, network_id: int) -> None:
        """Leave it and do not join it."""
        await self.control.command("DISABLE_NETWORK", network_id)

    async def remove_network(self, network_id: int) -> None:
        """Delete a network block; leaves it when it is the current one."""
        await self.control.command("REMOVE_NETWORK", network_id)

    async def scan(
        self,
        frequencies_mhz: Sequence[int] = (),
        *,
        only_new: bool = False,
        passive: bool = False,
    ) -> None:
        """Start a scan; SCAN_RESULTS announces its end. Raises Refused (FAIL-BUSY) during another.

        While associated, each other channel costs a hole of 64-78 ms in the traffic.

        Args:
            frequencies_mhz: scan these only; all when empty.
            only_new: drop results that this scan does not see again.
            passive: send nothing, and wait on each channel for beacons.
        """
        words: list[str | int] = ["SCAN", "TYPE=ONLY"]
        if frequencies_mhz:
            words.append("freq=" + ",".join(str(frequency_mhz(f)) for f in frequencies_mhz))
        if only_new:
            words.append("only_new=1")
        if passive:
            words.append("passive=1")
        await self.control.command(*words)

    async def scan_and_wait(
        self,
        frequencies_mhz: Sequence[int] = (),
        *,
        timeout_s: float = 10.0,
        passive: bool = False,
    ) -> tuple[replies.ScanEntry, ...]:
        """Scan and return what is known then; RemoteError when the scan fails or is too slow."""
        with self.control.subscribe() as events:
            await self.scan(frequencies_mhz, passive=passive)
            ends = {wpa_events.SCAN_RESULTS, wpa_events.SCAN_FAILED}
            end = await events.wait_for(lambda event: event.name in ends, timeout_s)
        if end.name == wpa_events.SCAN_FAILED:
            raise RemoteError(f"the scan failed: {end.text}", where=self.control.path)
        return await self.scan_results()

    async def scan_results(self) -> tuple[replies.ScanEntry, ...]:
        """The access points known. Cut by the daemon at its reply size; `bss` has them singly."""
        return replies.parse_scan_results(await self.control.request("SCAN_RESULTS"))

    async def bss(self, bssid: str) -> replies.Bss | None:
        """What is known of one access point, None if it is not known."""
        try:
            return replies.parse_bss(await self.control.request("BSS", mac_address(bssid)))
        except Refused:
            return None

    async def bss_flush(self, older_than_s: int = 0) -> None:
        """Forget scan results older than this."""
        await self.control.command("BSS_FLUSH", older_than_s)

    async def roam(self, bssid: str) -> None:
        """Move to another known access point of the current network block."""
        await self.control.command("ROAM", mac_address(bssid))

    async def preauthenticate(self, bssid: str) -> None:
        """802.11i pre-authentication with an access point through the current one."""
        await self.control.command("PREAUTH", mac_address(bssid))

    async def preauthenticate_and_wait(self, bssid: str, *, timeout_s: float) -> Event:
        """Pre-authenticate; the event of its end. RemoteError when it fails or is too slow."""
        with self.control.subscribe() as events:
            await self.preauthenticate(bssid)
            end = await events.wait_for(
                lambda event: (
                    event.name == wpa_events.PREAUTHENTICATED and event.address == bssid.lower()
                ),
                timeout_s,
            )
        if "completed successfully" not in end.text:
            raise RemoteError(f"the pre-authentication failed: {end.text}", where=bssid)
        return end

    @staticmethod
    def roam_command(bssid: str) -> bytes:
        """`roam` as a prepared datagram for `ControlClient.request_now`."""
        return command("ROAM", mac_address(bssid))

    async def disconnect(self) -> None:
        """Leave, and stay away until `reconnect`, `reassociate` or `select_network`."""
        await self.control.command("DISCONNECT")

    async def reconnect(self) -> None:
        """Join again if not connected."""
        await self.control.command("RECONNECT")

    async def reassociate(self) -> None:
        """Associate anew, even if connected."""
        await self.control.command("REASSOCIATE")

    async def logon(self) -> None:
        """Start 802.1X now rather than when the authenticator asks."""
        await self.control.command("LOGON")

    async def signal_poll(self, bssid: str | None = None) -> SignalSample:
        """The signal of the current access point.

        Args:
            bssid: the current one if the caller knows it; else STATUS is asked first.

        Raises:
            Refused: not associated.
        """
        if bssid is None:
            bssid = (await self.status()).bssid or ""
        reply = await self.control.request("SIGNAL_POLL")
        return replies.parse_signal_poll(reply, time.monotonic_ns(), bssid)

    async def signal_monitor(self, threshold_dbm: int, hysteresis_db: int) -> None:
        """Have the driver report each crossing as SIGNAL_CHANGE (repeated at times: debounce).

        Raises:
            LocalError: not below 0 dBm, or a negative hysteresis.
            Refused: the driver cannot, or bgscan is active.
        """
        if not -127 <= threshold_dbm < 0 or hysteresis_db < 0:
            raise LocalError(
                f"signal monitor at {threshold_dbm} dBm with {hysteresis_db} dB of hysteresis",
                remedy="give -127 to -1 dBm and 0 dB or more",
            )
        await self.control.command(
            "SIGNAL_MONITOR", f"THRESHOLD={threshold_dbm}", f"HYSTERESIS={hysteresis_db}"
        )

    async def signal_monitor_off(self) -> None:
        """End `signal_monitor`."""
        await self.control.command("SIGNAL_MONITOR")

    async def pmksa(self) -> tuple[replies.PmksaEntry, ...]:
        """The cached PMKs, by name."""
        return replies.parse_pmksa(await self.control.request("PMKSA"))

    async def pmks(self, network_id: int) -> tuple[bytes, ...]:
        """The cached PMKs themselves of a network: to decrypt captures with, never for logs."""
        reply = await self.control.request("PMKSA_GET", network_id)
        return replies.parse_pmks(reply)

    async def pmksa_flush(self) -> None:
        """Forget the cached PMKs. The current connection's goes too: it disconnects and rescans."""
        await self.control.command("PMKSA_FLUSH")

    async def pmksa_add(
        self,
        network_id: int,
        bssid: str,
        pmkid: bytes,
        pmk: bytes,
        *,
        lifetime_s: int,
        reauthenticate_s: int | None = None,
        akmp: int = AKM_8021X,
        opportunistic: bool = False,
    ) -> None:
        """Put a PMK for one access point into the cache, so that joining it needs no EAP.

        Args:
            pmkid: 16 octets.
            pmk: 32 octets, or 48 for suite B.
            lifetime_s: of the key, from now.
            reauthenticate_s: when to renew it; 70 % of the lifetime by default, as the daemon does.
            akmp: hostap's number of the key management, AKM_8021X or AKM_8021X_SHA256 here.
        """
        renew_s = lifetime_s * 7 // 10 if reauthenticate_s is None else reauthenticate_s
        await self.control.command(
            "PMKSA_ADD",
            network_id,
            mac_address(bssid),
            hex_value(pmkid, "a PMKID", 16),
            hex_value(pmk, "a PMK", 32, 48),
            renew_s,
            lifetime_s,
            akmp,
            int(opportunistic),
        )

    async def set(self, name: str, value: str | int) -> None:
        """Set a global variable (`SET`)."""
        await self.control.command("SET", name, value)

    async def log_level(self, level: str) -> None:
        """EXCESSIVE, MSGDUMP, DEBUG, INFO, WARNING or ERROR; INFO and above cost little."""
        await self.control.command("LOG_LEVEL", level)

    async def driver_flags(self) -> frozenset[str]:
        """The driver's capabilities by hostap's names (`DRIVER_FLAGS`)."""
        lines = (await self.control.request("DRIVER_FLAGS")).split("\n")
        return frozenset(line.strip() for line in lines[1:] if line.strip())

    async def terminate(self) -> None:
        """End the daemon."""
        await self.control.command("TERMINATE")


def signal_change(event: Event, bssid: str = "", frequency_mhz: int | None = None) -> SignalSample:
    """The reading that a SIGNAL_CHANGE event carries; the event names no access point."""
    if event.name != wpa_events.SIGNAL_CHANGE:
        raise LocalError(f"{event.name} is no signal event")
    return sample(
        event.t_ns,
        bssid,
        frequency_mhz,
        event.integer("signal"),
        source="signal_change",
        noise_dbm=event.integer("noise"),
    )


def _select_words(network_id: int, frequencies_mhz: Sequence[int]) -> list[str | int]:
    words: list[str | int] = ["SELECT_NETWORK", network_id]
    if frequencies_mhz:
        words.append("freq=" + ",".join(str(frequency_mhz(f)) for f in frequencies_mhz))
    return words
