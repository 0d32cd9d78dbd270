"""The radio contract on real NICs. They are taken away from whoever uses them while it runs.

Two radios that hear each other do for the first half, three for a change of access point. Tell
NetworkManager to leave them alone (``nmcli device set wlan1 managed no``).
"""

from __future__ import annotations

import pytest
from radio_contract import RadioContract
from real_radios import RealRadios, devices

from radios import nl80211


@pytest.fixture
def source() -> RealRadios:
    return RealRadios(devices())


class TestRealRadios(RadioContract):
    """The contract on this machine's radios."""


def test_every_radio_describes_itself() -> None:
    found = devices()
    described = {each.name: each for each in nl80211.capabilities()}
    for device in found:
        assert described[device.phy].frequencies_mhz
        assert described[device.phy].max_scan_ssids > 0
