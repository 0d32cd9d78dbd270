"""hostapd's verbs, typed, on a `ControlClient`."""

from __future__ import annotations

from radios import replies
from radios.anqp import configured
from radios.control import ControlClient, Refused
from radios.errors import RemoteError
from radios.profile import frequency_mhz
from radios.supplicant import AKM_8021X
from radios.wpa_text import hex_value, mac_address, ssid_value

MAX_PMKSA = 1024
"""hostapd keeps this many cached PMKs (hostap source)."""

MAX_STATIONS = 2007
"""Association identifiers end there (IEEE 802.11 s9.4.1.8); bounds the walk over stations."""


class Hostapd:
    """One BSS of a hostapd. Verbs raise as `ControlClient.request` does."""

    def __init__(self, control: ControlClient) -> None:
        self.control = control

    async def status(self) -> replies.ApStatus:
        """What it is doing."""
        return replies.parse_ap_status(await self.control.request("STATUS"))

    async def stations(self) -> tuple[replies.Station, ...]:
        """Every associated station.

        The list is walked by address; a station that leaves just then ends the walk early.
        """
        found: dict[str, replies.Station] = {}
        try:
            station = replies.parse_station(await self.control.request("STA-FIRST"))
            while station and station.address not in found and len(found) < MAX_STATIONS:
                found[station.address] = station
                reply = await self.control.request("STA-NEXT", station.address)
                station = replies.parse_station(reply)
        except Refused:
            pass  # FAIL is how the walk ends when the list is empty or its place in it is gone
        return tuple(found.values())

    async def station(self, address: str) -> replies.Station | None:
        """One station, None if it is not associated."""
        try:
            return replies.parse_station(await self.control.request("STA", mac_address(address)))
        except Refused:
            return None

    async def deauthenticate(self, address: str, reason: int | None = None) -> None:
        """Send a station away (IEEE 802.11 reason code, the daemon's default when None)."""
        await self.control.command("DEAUTHENTICATE", mac_address(address), *_reason(reason))

    async def disassociate(self, address: str, reason: int | None = None) -> None:
        """End a station's association."""
        await self.control.command("DISASSOCIATE", mac_address(address), *_reason(reason))

    async def reauthenticate(self, address: str) -> None:
        """Start 802.1X anew with a station."""
        await self.control.command("EAPOL_REAUTH", mac_address(address))

    async def pmksa(self) -> tuple[replies.PmksaEntry, ...]:
        """The cached PMKs, by name."""
        return replies.parse_pmksa(await self.control.request("PMKSA"))

    async def pmksa_flush(self) -> None:
        """Forget every cached PMK."""
        await self.control.command("PMKSA_FLUSH")

    async def pmksa_add(
        self,
        station: str,
        pmkid: bytes,
        pmk: bytes,
        *,
        lifetime_s: int,
        akmp: int = AKM_8021X,
    ) -> None:
        """Put a PMK for one station into the cache, so that its association needs no EAP.

        Args:
            pmkid: 16 octets, the one that the station will name.
            pmk: 32 octets, or 48 for suite B.
            lifetime_s: of the key, from now.
            akmp: hostap's number of the key management (`radios.supplicant.AKM_8021X`).
        """
        await self.control.command(
            "PMKSA_ADD",
            mac_address(station),
            hex_value(pmkid, "a PMKID", 16),
            hex_value(pmk, "a PMK", 32, 48),
            lifetime_s,
            akmp,
        )

    async def reload_wpa_psk(self) -> None:
        """Read `wpa_psk_file` again; drops nobody."""
        await self.control.command("RELOAD_WPA_PSK")

    async def set_neighbor(self, bssid: str, ssid: bytes, report: bytes) -> None:
        """Add or replace a neighbour. Needs `rrm_neighbor_report=1` in hostapd's configuration.

        Args:
            report: body of the 802.11k neighbour report element, from its BSSID on.
        """
        await self.control.command(
            "SET_NEIGHBOR", mac_address(bssid), f"ssid={ssid_value(ssid)}", f"nr={report.hex()}"
        )

    async def remove_neighbor(self, bssid: str) -> None:
        """Remove a neighbour."""
        await self.control.command("REMOVE_NEIGHBOR", mac_address(bssid))

    async def neighbors(self) -> tuple[str, ...]:
        """The neighbours' lines as hostapd writes them; Refused without `rrm_neighbor_report=1`."""
        reply = await self.control.request("SHOW_NEIGHBOR")
        return tuple(line for line in reply.split("\n") if line)

    async def set_anqp_element(self, info_id: int, octets: bytes) -> None:
        """Add or replace an ANQP element, from the next query on. Needs `interworking=1`."""
        await self.control.command("SET", "anqp_elem", configured(info_id, octets))

    async def bss_transition_request(self, station: str, *options: str) -> None:
        """Ask a station to move (802.11v); options in hostapd's words, such as `pref=1`."""
        await self.control.command("BSS_TM_REQ", mac_address(station), *options)

    async def switch_channel(self, frequency: int, *, beacons: int = 5) -> None:
        """Announce and make a move of the whole BSS to another channel.

        Args:
            frequency: new centre frequency in MHz.
            beacons: how many beacons announce it.
        """
        await self.control.command("CHAN_SWITCH", beacons, frequency_mhz(frequency))

    async def enable(self) -> None:
        """Bring the BSS up."""
        await self.control.command("ENABLE")

    async def disable(self) -> None:
        """Take the BSS down: it vanishes from the air."""
        await self.control.command("DISABLE")

    async def stop_beaconing(self) -> None:
        """Stop the BSS without a farewell to its stations."""
        await self.control.command("STOP_AP")

    async def set(self, name: str, value: str | int) -> None:
        """Set a configuration variable (`SET`); most take effect at the next enable."""
        await self.control.command("SET", name, value)

    async def get(self, name: str) -> str:
        """Read a variable (`GET`); only a few exist (`version`)."""
        return await self.control.request("GET", name)

    async def log_level(self, level: str) -> None:
        """EXCESSIVE, MSGDUMP, DEBUG, INFO, WARNING or ERROR."""
        await self.control.command("LOG_LEVEL", level)

    async def terminate(self) -> None:
        """End the daemon."""
        await self.control.command("TERMINATE")

    async def require_enabled(self) -> replies.ApStatus:
        """The status of a BSS that must be on the air; RemoteError when it is not."""
        status = await self.status()
        if status.state != "ENABLED":
            raise RemoteError(
                f"the access point is {status.state or 'in no known state'}, not ENABLED",
                where=self.control.path,
                remedy="read hostapd's log: channel not allowed, or interface down?",
            )
        return status


def _reason(reason: int | None) -> tuple[str, ...]:
    return () if reason is None else (f"reason={reason}",)
