"""A lab's virtual radios: made together, put into their boxes, tuned while the MN moves.

A hwsim radio's `rx_rssi` is what everybody else hears of it, plus its transmit power. All radios
of a lab transmit with 0 dBm, so `rx_rssi` is the signal itself and reaches from -100 to -1 dBm.
Two labs on one machine share no bit of hwsim's group masks and do not hear each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from mpa_hil.lab import plan
from mpa_hil.scenario import Movement, Scenario, end_s, signal_dbm
from radios import hwsim, nl80211
from rigs.host import Host
from rigs.paths import namespace_of

STEP_S = 0.1
"""Between two settings of the signal; a beacon interval is 0.1024 s, so finer shows nowhere."""
NEAR_DBM = -40
"""What access points hear of the MN: it does not move for them, its own decisions count."""
_OUT_OF_RANGE = 1 << 62
_WEAKEST_DBM, _STRONGEST_DBM = hwsim.RX_RSSI_RANGE


@dataclass(frozen=True, slots=True)
class Air:
    """The radios of one lab, by box."""

    radios: Mapping[str, hwsim.Radio]
    group: int

    def set_signal(self, ap: str, dbm: float) -> None:
        """What the MN hears of an access point, dBm (rounded, and cut to what hwsim takes)."""
        level = min(max(round(dbm), _WEAKEST_DBM), _STRONGEST_DBM)
        hwsim.set_rx_rssi(self.radios[ap].phy, level)

    def set_range(self, ap: str, *, within: bool) -> None:
        """Whether access point and MN hear each other at all."""
        hwsim.set_group(self.radios[ap].phy, self.group if within else _OUT_OF_RANGE)

    def place(self, movement: Movement, t_s: float) -> None:
        """Set every access point to the trace at `t_s` seconds."""
        for ap in {point.ap for point in movement.points}:
            dbm = signal_dbm(movement, ap, t_s)
            self.set_signal(ap, dbm)
            self.set_range(ap, within=dbm > movement.lost_dbm)

    async def follow(self, movement: Movement) -> None:
        """Play the trace from its beginning to its last point, in real (guest) time."""
        loop = asyncio.get_running_loop()
        start_s, last_s = loop.time(), end_s(movement)
        step = 0
        while (t_s := step * STEP_S) < last_s:
            self.place(movement, t_s)
            step += 1
            await asyncio.sleep(start_s + step * STEP_S - loop.time())
        self.place(movement, last_s)

    def remove(self) -> None:
        """Take the radios away, wherever they are now."""
        hwsim.remove_all(list(self.radios.values()))


async def make(scenario: Scenario, hosts: Mapping[str, Host], lab_id: str, group: int) -> Air:
    """Make a radio for the MN and each access point, and move it into its box as `plan.RADIO`.

    Args:
        hosts: the boxes, all of them namespaces of this machine.
        group: bit mask that this lab's radios share with no other lab's.

    Raises:
        MachineError: no hwsim here, or not root.
    """
    hwsim.load_module()
    hwsim.mount_debugfs()
    addresses = {"mn": scenario.mn.mac, **{ap.name: ap.bssid for ap in scenario.aps}}
    radios: dict[str, hwsim.Radio] = {}
    try:
        for box, address in addresses.items():
            radios[box] = hwsim.create(f"{lab_id}.{box}"[:15], address)
        for box, radio in radios.items():
            namespace = f"/run/netns/{namespace_of(lab_id, box)}"
            nl80211.move_phy(radio.index, namespace=namespace)
            if radio.interface != plan.RADIO:
                await hosts[box].run("ip", "link", "set", radio.interface, "name", plan.RADIO)
            await hosts[box].run(*hwsim.transmit_power_command(plan.RADIO, 0))
            hwsim.set_rx_rssi(radio.phy, NEAR_DBM)
            hwsim.set_group(radio.phy, group)
    except BaseException:
        hwsim.remove_all(list(radios.values()))
        raise
    return Air(radios, group)
