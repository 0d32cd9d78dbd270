"""This machine's own radios as a source for the contract suite."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence

import pytest
from air import Device

from radios import nl80211
from radios.errors import MachineError

VARIABLE = "MPA_HIL_RADIOS"
BACK_WITHIN_S = 10.0
"""A namespace that ends gives its radios back some milliseconds later."""


def names() -> list[str]:
    """The interfaces that the tests were given."""
    return os.environ.get(VARIABLE, "").split()


def devices() -> list[Device]:
    """The radios behind them; skips naming what is missing."""
    if os.geteuid() != 0:
        pytest.skip("moving radios takes root: run it with sudo")
    programs = ("ip", "iw", "hostapd", "wpa_supplicant", "nsenter", "setpriv")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in programs if not shutil.which(program, path=path)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install hostapd wpasupplicant iw")
    try:
        known = {each.name: each for each in nl80211.interfaces()}
    except MachineError as error:
        pytest.skip(str(error))
    phys = {index: name for name, index in nl80211.phys().items()}
    if absent := [name for name in names() if name not in known]:
        pytest.skip(f"{', '.join(absent)}: no radio of this machine; `iw dev` lists them")
    chosen = [known[name] for name in names()]
    return [Device(phys[each.phy], each.phy, each.name, each.address) for each in chosen]


class RealRadios:
    """Lends the radios that `devices` found, and waits until they are back."""

    def __init__(self, found: Sequence[Device]) -> None:
        self._found = found

    @contextlib.contextmanager
    def take(self, count: int) -> Iterator[Sequence[Device]]:
        """The first so many."""
        if len(self._found) < count:
            pytest.skip(
                f"{count} radios are needed, {VARIABLE} has {len(self._found)}: plug in more"
            )
        lent = self._found[:count]
        try:
            yield lent
        finally:
            deadline_s = time.monotonic() + BACK_WITHIN_S
            while not {each.phy for each in lent} <= nl80211.phys().keys():
                assert time.monotonic() < deadline_s, "a radio did not come back: see `iw dev`"
                time.sleep(0.05)
