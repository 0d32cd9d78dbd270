"""Puts PMKs into wpa_supplicant, and takes them out again.

What stock 2.10 wants (hostap, src/rsn_supp/pmksa_cache.c, and tried out):

- One key for each BSSID, whatever network block it is added to; a new one replaces it. It is used
  only for the block that it was added to, so that has to be the one that will be selected.
- Changing that block (but for `bssid`, `priority` and `scan_freq`) drops its keys.
- When the *first* key to end gets to its reauthentication time, the *present* connection
  authenticates anew, whichever access point the key is for. So that time is put at the key's end.
- No command removes one key. PMKSA_FLUSH takes all and drops the connection. Changing a field of
  the block takes the block's: one that means nothing is changed and changed back, and the keys
  that stay are added again. The present connection's block is left alone, and so are its keys;
  they end with their lifetime.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mpa_hil.discovery.description import Akm, PointOfAttachment
from mpa_hil.errors import MpaError
from mpa_hil.preauthentication.interface import PointKey
from radios.control import ControlClient
from radios.replies import ListedNetwork
from radios.supplicant import AKM_8021X, AKM_8021X_SHA256, Supplicant
from radios.wpa_text import find_mac

_IDLE_FIELD = "mixed_cell"
"""Nothing in wpa_supplicant 2.10 reads it."""
_ANY = "any"
_AKMS = (("WPA-EAP-SHA256", Akm.EAP_SHA256, AKM_8021X_SHA256), ("WPA-EAP", Akm.EAP, AKM_8021X))
"""Strongest first, as wpa_supplicant chooses when both sides can."""


class SupplicantKeys:
    """The prepared keys of one supplicant."""

    def __init__(self, control: ControlClient) -> None:
        self._control = control
        self._supplicant = Supplicant(control)

    async def install(self, keys: Sequence[PointKey], lifetime_s: int) -> dict[str, str]:
        """Add these keys; by BSSID an empty text, or why the key was not added."""
        results: dict[str, str] = {}
        try:
            networks = await self._supplicant.networks()
        except MpaError as error:
            return {key.point.bssid: error.what for key in keys}
        managements: dict[int, frozenset[str]] = {}
        for key in keys:
            try:
                results[key.point.bssid] = await self._add(key, lifetime_s, networks, managements)
            except MpaError as error:
                results[key.point.bssid] = error.what
        return results

    async def remove(self, points: Iterable[PointOfAttachment]) -> None:
        """Take the keys for these points out, where that does not cut the connection.

        Raises:
            MpaError: the supplicant is away or refuses.
        """
        gone = {point.bssid for point in points}
        present = (await self._supplicant.status()).network_id
        for network in await self._supplicant.networks():
            if network.network_id == present:
                continue
            lines = await self._lines(network.network_id)
            if any(_bssid(line) in gone for line in lines):
                await self._flush(network.network_id)
                for line in lines:
                    if _bssid(line) not in gone:
                        await self._control.command("PMKSA_ADD", network.network_id, *line.split())

    async def _add(
        self,
        key: PointKey,
        lifetime_s: int,
        networks: Sequence[ListedNetwork],
        managements: dict[int, frozenset[str]],
    ) -> str:
        for network in matching(key.point, networks):
            number = network.network_id
            if number not in managements:
                words = await self._control.request("GET_NETWORK", number, "key_mgmt")
                managements[number] = frozenset(words.split())
            akmp = management(key.point, managements[number])
            if akmp is not None:
                await self._supplicant.pmksa_add(
                    number,
                    key.point.bssid,
                    key.pmkid,
                    key.pmk,
                    lifetime_s=lifetime_s,
                    reauthenticate_s=lifetime_s,
                    akmp=akmp,
                )
                return ""
        return f"the supplicant has no WPA-Enterprise network for {key.point.name}"

    async def _lines(self, network_id: int) -> list[str]:
        reply = await self._control.request("PMKSA_GET", network_id)
        return [line for line in reply.split("\n") if _bssid(line)]

    async def _flush(self, network_id: int) -> None:
        present = (await self._control.request("GET_NETWORK", network_id, _IDLE_FIELD)).strip()
        for value in ("1" if present == "0" else "0", present):
            await self._supplicant.set_network(network_id, _IDLE_FIELD, value)


def matching(
    point: PointOfAttachment, networks: Sequence[ListedNetwork]
) -> tuple[ListedNetwork, ...]:
    """The network blocks that may join a point: those for it alone first."""
    same = [network for network in networks if network.ssid == point.ssid]
    exact = [network for network in same if network.bssid == point.bssid]
    return (*exact, *(network for network in same if network.bssid == _ANY))


def management(point: PointOfAttachment, allowed: frozenset[str]) -> int | None:
    """hostap's number of the key management that association will agree on; None: none by EAP.

    Args:
        allowed: the words of the network block's `key_mgmt`.
    """
    for word, akm, number in _AKMS:
        if word in allowed and (not point.akms or akm in point.akms):
            return number
    return None


def remaining_s(expires_ns: int, now_ns: int) -> int:
    """A key's lifetime in whole seconds, 0 when it is over."""
    return max(0, (expires_ns - now_ns) // 1_000_000_000)


def refused(keys: Sequence[PointKey], reason: str) -> dict[str, str]:
    """The result of installing nothing."""
    return {key.point.bssid: reason for key in keys}


def _bssid(line: str) -> str | None:
    return find_mac(line.split(" ", 1)[0])
