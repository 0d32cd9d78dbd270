"""What a station can ask of access points about the neighbourhood: 802.11k and 802.11u."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from radios import anqp, neighbor_report
from radios.control import ControlClient, Refused
from radios.errors import RemoteError
from radios.neighbor_report import NeighborReport
from radios.wpa_events import Event
from radios.wpa_text import find_mac, mac_address, ssid_value

REPORT_TIMEOUT_S = 2.0
"""wpa_supplicant itself gives up after 1 s."""
LINGER_S = 0.05
"""wpa_supplicant tells all neighbours of a report in one go; this covers their way here."""
ANQP_TIMEOUT_S = 10.0
"""A query may need the channel for each fragment, comeback delays included."""
MAX_REPORTS = 64
"""More neighbours in one report are not listened to."""


class Neighborhood:
    """Questions of one interface of a wpa_supplicant. Verbs raise as `ControlClient.request`."""

    def __init__(self, control: ControlClient) -> None:
        self.control = control

    async def neighbor_report(
        self, ssid: bytes | None = None, *, timeout_s: float = REPORT_TIMEOUT_S
    ) -> tuple[NeighborReport, ...]:
        """Ask the current access point for its neighbours (802.11k).

        Args:
            ssid: neighbours of that network; None: of the network that the station is in.

        Returns:
            None of them when it knows none, and also when it does not answer: wpa_supplicant does
            not tell the two apart.

        Raises:
            Refused: not associated, or the access point does not offer reports.
        """
        # In hexadecimal digits: an SSID may hold quotes, spaces and newlines.
        words = () if ssid is None else (f"ssid={ssid_value(ssid)}",)
        found: list[Event] = []
        with self.control.subscribe() as events:
            await self.control.command("NEIGHBOR_REP_REQUEST", *words)
            patience_s = timeout_s
            while len(found) < MAX_REPORTS:
                try:
                    event = await events.wait_for(_is_report, patience_s)
                except RemoteError:
                    await self.control.ping()  # nothing more to come, or nobody to tell it?
                    break
                if event.name == neighbor_report.FAILED:
                    break
                found.append(event)
                patience_s = LINGER_S
        reports = (neighbor_report.from_event(event, ssid) for event in found)
        return tuple(report for report in reports if report is not None)

    async def anqp(
        self, bssid: str, info_ids: Sequence[int], *, timeout_s: float = ANQP_TIMEOUT_S
    ) -> Mapping[int, bytes]:
        """Ask an access point, the current one or another that was seen, by ANQP (802.11u).

        Returns:
            What the supplicant now knows from that access point, by Info ID: maybe more than was
            asked, maybe less.

        Raises:
            Refused: the access point is not known from a scan.
            RemoteError: no answer, or a failure (`result=` of the event).
        """
        wanted = mac_address(bssid)
        numbers = ",".join(str(int(number)) for number in info_ids)
        with self.control.subscribe() as events:
            await self.control.command("ANQP_GET", wanted, numbers)
            done = await events.wait_for(lambda event: _is_end(event, wanted), timeout_s)
        result = done.fields.get("result", "")
        if result != "SUCCESS":
            raise RemoteError(f"the ANQP query ended with {result[:40]!r}", where=wanted)
        return await self.known(wanted)

    async def known(self, bssid: str) -> Mapping[int, bytes]:
        """ANQP elements that were received from an access point, by Info ID."""
        try:
            reply = await self.control.request(
                "BSS", mac_address(bssid), f"MASK={anqp.BSS_MASK:#x}"
            )
        except Refused:
            return {}
        return anqp.parse_bss(reply)


def _is_report(event: Event) -> bool:
    return event.name in (neighbor_report.RECEIVED, neighbor_report.FAILED)


def _is_end(event: Event, bssid: str) -> bool:
    return event.name == anqp.QUERY_DONE and find_mac(event.fields.get("addr", "")) == bssid
