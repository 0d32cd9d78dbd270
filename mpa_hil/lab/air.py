"""A lab's virtual radios: made together, put into their boxes, tuned while the MN moves.

A hwsim radio's `rx_rssi` is what everybody else hears of it, plus its transmit power. All radios
of a lab transmit with 0 dBm, so `rx_rssi` is the signal itself and reaches from -100 to -1 dBm.
Two labs on one machine share no bit of hwsim's group masks and do not hear each other.

What is set when is computed before anything is measured (`movement.schedule`), and written to files
that are open already: docs/movement.md has what that costs the guest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from mpa_hil.lab import plan
from mpa_hil.movement import schedule
from mpa_hil.movement.schedule import Moment, Setting
from mpa_hil.scenario import Propagation, Scenario, course
from radios import hwsim, nl80211
from radios.genetlink import kernel_error
from rigs.host import Host
from rigs.paths import namespace_of

NEAR_DBM = -40
"""Of whoever is near; also what an access point hears of the MN when none is within range."""
NOISE_DBM = -92.0
"""What hwsim reports of every channel, whatever the lab's model says."""
_OUT_OF_RANGE = 1 << 62


@dataclass(frozen=True, slots=True)
class _Write:
    """Octets for an open file of debugfs."""

    descriptor: int
    octets: bytes


class Air:
    """The radios of one lab, by box.

    Args:
        group: bit mask that they share with no other lab's.

    Raises:
        MachineError: no debugfs, or not root.
    """

    def __init__(self, radios: Mapping[str, hwsim.Radio], group: int, scenario: Scenario) -> None:
        self._radios = radios
        self._group = group
        movement = scenario.movement
        noise_dbm = (movement.propagation or Propagation()).noise_dbm
        self._offset_db = round(NOISE_DBM - noise_dbm) if movement.waypoints else 0
        low_dbm, high_dbm = hwsim.RX_RSSI_RANGE
        self._range_dbm = low_dbm - self._offset_db, high_dbm - self._offset_db
        self._lost_dbm = movement.lost_dbm
        self._files: list[int] = []
        try:
            self._levels = {box: self._open(hwsim.rx_rssi_path(r.phy)) for box, r in radios.items()}
            self._groups = {box: self._open(hwsim.group_path(r.phy)) for box, r in radios.items()}
            self.retrace(scenario)
        except BaseException:
            self._close()
            raise

    def retrace(self, scenario: Scenario) -> None:
        """Take over another movement among the same access points: another seed's, say."""
        self._course = course(scenario)
        moments = schedule.schedule(self._course, self._lost_dbm, self._range_dbm)
        written: dict[int, bytes] = {}
        self._moments = [(m.t_s, _unwritten(self._writes(m), written)) for m in moments]

    def place(self, t_s: float) -> None:
        """Set every radio to the movement at `t_s` seconds."""
        moment = schedule.at(self._course, t_s, self._lost_dbm, self._range_dbm)
        _carry_out(self._writes(moment))

    def gather(self) -> None:
        """Put every access point next to the MN, wherever the movement has it: for practice."""
        settings = tuple(Setting(ap, NEAR_DBM, True) for ap in self._course.aps)
        _carry_out(self._writes(Moment(0.0, settings, NEAR_DBM)))

    async def follow(self) -> None:
        """Play the movement from beginning to end, in real (guest) time."""
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        for t_s, writes in self._moments:
            await asyncio.sleep(start_s + t_s - loop.time())
            _carry_out(writes)

    def remove(self) -> None:
        """Take the radios away, wherever they are now."""
        self._close()
        hwsim.remove_all(list(self._radios.values()))

    def _writes(self, moment: Moment) -> tuple[_Write, ...]:
        writes = []
        for each in moment.settings:
            mask = self._group if each.within else _OUT_OF_RANGE
            writes.append(_Write(self._groups[each.ap], str(mask).encode()))
            writes.append(self._level(each.ap, each.signal_dbm))
        near_dbm = NEAR_DBM if moment.near_dbm is None else moment.near_dbm
        return (*writes, self._level("mn", near_dbm))

    def _level(self, box: str, dbm: int) -> _Write:
        octets = hwsim.encode_rx_rssi(dbm + self._offset_db).encode()
        return _Write(self._levels[box], octets)

    def _open(self, path: os.PathLike[str]) -> int:
        try:
            self._files.append(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        except OSError as error:
            raise kernel_error(error, str(path)) from error
        return self._files[-1]

    def _close(self) -> None:
        while self._files:
            with contextlib.suppress(OSError):  # debugfs says so when the radio went first
                os.close(self._files.pop())


def _unwritten(writes: tuple[_Write, ...], written: dict[int, bytes]) -> tuple[_Write, ...]:
    """Those that say something new; noted in `written`."""
    new = tuple(each for each in writes if written.get(each.descriptor) != each.octets)
    written.update((each.descriptor, each.octets) for each in new)
    return new


def _carry_out(writes: tuple[_Write, ...]) -> None:
    for write in writes:
        os.write(write.descriptor, write.octets)  # debugfs takes each write for the whole value


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
            hwsim.set_group(radio.phy, group)
        air = Air(radios, group, scenario)
        air.place(0.0)
        return air
    except BaseException:
        hwsim.remove_all(list(radios.values()))
        raise
