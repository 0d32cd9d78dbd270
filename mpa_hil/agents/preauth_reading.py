"""The pre-authentication process's configuration, read."""

from __future__ import annotations

from mpa_hil.agents.config import Fields
from mpa_hil.keys import mac_octets
from mpa_hil.preauthentication.settings import MAX_NETWORKS, MAX_POINTS, Settings


def read_settings(fields: Fields) -> Settings:
    """How the node pre-authenticates.

    Raises:
        LocalError: with the key that is wrong.
    """
    station = fields.text("mac").lower()
    mac_octets(station)
    return Settings(
        station=station,
        max_points=fields.integer("max_points", MAX_POINTS, 1, 31),
        max_networks=fields.integer("max_networks", MAX_NETWORKS, 1, 64),
        attempts=fields.integer("attempts", 3, 1, 10),
    )
