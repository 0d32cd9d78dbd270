"""What the configuration agent's machine says, and what it is told at its start. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass, field

from mpa_hil.configuration.acquisition import Transmit
from mpa_hil.configuration.dhcp4.exchange import Dhcp4Timing
from mpa_hil.configuration.dhcp6.exchange import Dhcp6Timing
from mpa_hil.configuration.interface import Code, Configuration, Method
from mpa_hil.errors import LocalError
from mpa_hil.light import light
from mpa_hil.mobility.interface import Address, Discarded, Send


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Limits and times of a configuration agent."""

    methods: frozenset[Method] = frozenset(Method)
    """Those that it does."""
    per_node: int = 2
    """Addresses of one mobile node, both families together."""
    maximum: int = 1000
    """Addresses in all."""
    exchanges: int = 256
    """Under way at once."""
    burst: float = 6.0
    """Exchanges of one mobile node at once, beyond `rate_per_s` ..."""
    rate_per_s: float = 0.2
    """... in the long run. Each costs the network's DHCP server a few messages."""
    declines: float = 3.0
    """As `burst`, of addresses declined: a server keeps each out of use for minutes."""
    declines_per_s: float = 1 / 300
    keep_s: float = 600.0
    """An address is given back when its MN has said nothing for so long."""
    grace_s: float = 60.0
    """After a restart: for the MN's key to be delivered again, before its address is given back."""
    retry_s: float = 10.0
    """Between attempts to renew with a server that does not answer."""
    dhcp4: Dhcp4Timing = field(default_factory=Dhcp4Timing)
    dhcp6: Dhcp6Timing = field(default_factory=Dhcp6Timing)

    def __post_init__(self) -> None:
        counts = (self.per_node, self.maximum, self.exchanges, self.burst, self.declines)
        times = (self.rate_per_s, self.declines_per_s, self.keep_s, self.grace_s, self.retry_s)
        if min(counts) < 1 or min(times) <= 0:
            raise LocalError("limits are at least 1, times and rates positive", where="agent ca")


@light
class Granted:
    """A mobile node has an address, or more time for it."""

    mobile_node: str
    method: Method
    configuration: Configuration
    renewal: bool
    duration_ns: int
    """From its request to the answer."""


@light
class Denied:
    """A mobile node's request was refused."""

    mobile_node: str
    code: Code
    text: str


@light
class Gone:
    """An address is not held any longer."""

    mobile_node: str
    address: Address
    cause: str
    """By the MN: released, taken over, declined, replaced. Given back: withdrawn (its key), unheard
    (the MN). Left to the MN, which is on the link: in use. By the server: expired, lost."""


Output = Send | Transmit | Granted | Denied | Gone | Discarded
