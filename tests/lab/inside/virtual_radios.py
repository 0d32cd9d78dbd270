"""mac80211_hwsim as a source of radios for the tests beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from air import Device

from radios import hwsim, nl80211


class Hwsim:
    """Makes as many radios as are wanted, and removes them."""

    @contextlib.contextmanager
    def take(self, count: int) -> Iterator[Sequence[Device]]:
        """Radios radio0, radio1, ..., with addresses 02:00:00:00:0f:00 and up."""
        hwsim.load_module()
        made: list[hwsim.Radio] = []
        try:
            for number in range(count):
                made.append(hwsim.create(f"radio{number}", f"02:00:00:00:0f:{number:02x}"))
            yield [Device(each.phy, each.index, each.interface, each.address) for each in made]
        finally:
            hwsim.remove_all(made)
            assert nl80211.phys() == {}
