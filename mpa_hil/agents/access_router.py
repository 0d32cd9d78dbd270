"""The access router's store of MN-AR keys: `python3 -m mpa_hil.agents.access_router CONFIG.json`.

It holds the keys that its authentication agent delivers, until they are withdrawn or over, and
reports them by name. Configuration, commands and events: `mpa_hil.agents.key_recipient`; besides
those keys the configuration has

    addresses             its own addresses, which MN-AR keys must be bound to
"""

from __future__ import annotations

import asyncio

from mpa_hil.agents.config import Fields
from mpa_hil.agents.key_recipient import KeyRecipient, RecipientSettings, addresses
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.keys import Usage, address_identifier


class AccessRouter(KeyRecipient):
    """Holds MN-AR keys."""

    role = "ar"


def serve(config: Json, console: Console) -> None:
    """Serve until told to end."""
    fields = Fields(config, "access router configuration")
    settings = RecipientSettings.read(fields)
    peers = frozenset(map(address_identifier, addresses(fields, "addresses")))
    fields.done()

    async def run() -> None:
        await AccessRouter(settings, settings.terms(Usage.MN_AR, peers), console).run()

    asyncio.run(run())


if __name__ == "__main__":
    main("access_router", serve)
