"""The configuration agent's store of MN-CA keys.

Run it as `python3 -m mpa_hil.agents.configuration_agent CONFIG.json`. It holds the keys that its
authentication agent delivers, until they are withdrawn or over, and reports them by name.
Configuration, commands and events: `mpa_hil.agents.key_recipient`; besides those keys the
configuration has

    addresses             its own addresses, which MN-CA keys must be bound to
"""

from __future__ import annotations

import asyncio

from mpa_hil.agents.config import Fields
from mpa_hil.agents.key_recipient import KeyRecipient, RecipientSettings, addresses
from mpa_hil.agents.stdio import Console, Json, main
from mpa_hil.keys import Usage, address_identifier


class ConfigurationAgent(KeyRecipient):
    """Holds MN-CA keys."""

    role = "ca"


def serve(config: Json, console: Console) -> None:
    """Serve until told to end."""
    fields = Fields(config, "configuration agent configuration")
    settings = RecipientSettings.read(fields)
    peers = frozenset(map(address_identifier, addresses(fields, "addresses")))
    fields.done()

    async def run() -> None:
        await ConfigurationAgent(settings, settings.terms(Usage.MN_CA, peers), console).run()

    asyncio.run(run())


if __name__ == "__main__":
    main("configuration_agent", serve)
