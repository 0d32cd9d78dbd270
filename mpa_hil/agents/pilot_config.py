"""The command that a pilot begins with, read.

policy, options        name; its options as a JSON object
places                 [{ap, realm, networks, ca, ar, frequency_mhz, highest?, cost?, preference?,
                       coverage_m?}], the access point in use among them
protection, hold, bicast, hold_limit_ms, hold_limit_octets   of tunnels, as in `agents.moving`
deadline_s             for one pre-authentication
spacing_ms             of the traffic's packets
doubt_limit_ms         packets go to two networks for so long at most (`agents.doubt`); 0: never
lead_us                as in `arm` (`agents.mobile_node`)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpa_hil.agents.config import Fields
from mpa_hil.agents.moving import read_endpoint, read_protection
from mpa_hil.agents.pilot_interface import Place
from mpa_hil.handover.options import Hold, Level, Options
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.policy.interface import Candidate

if TYPE_CHECKING:
    from mpa_hil.policy.loading import Chosen

_SEEK_TRIES = 2
"""Of the old network and the new one in turn; then the policy looks elsewhere."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the command says.

    Attributes:
        agents: of each access point's network: configuration agent and access router.
    """

    chosen: Chosen
    places: tuple[Place, ...]
    agents: dict[str, tuple[Endpoint, Endpoint]]
    options: Options
    hold_ms: int
    hold_octets: int
    deadline_s: float
    spacing_ms: float
    lead_ns: int
    doubt_ns: int


def read(fields: Fields) -> Orders:
    """Read the command.

    Raises:
        LocalError: with the key that is wrong; no such policy.
    """
    from mpa_hil.policy.loading import choose

    chosen = choose(fields.text("policy"), fields.values("options"), "pilot")
    places: list[Place] = []
    agents: dict[str, tuple[Endpoint, Endpoint]] = {}
    for each in fields.each("places"):
        place = _place(each)
        agents[place.candidate.ap] = read_endpoint(each, "ca"), read_endpoint(each, "ar")
        each.done()
        places.append(place)
    options = Options(
        level=Level.BOUND,
        hold=Hold[fields.choice("hold", ("next", "off")).upper()],
        protection=read_protection(fields),
        bicast=fields.truth("bicast", False),
        bind_ahead=False,
        seek_tries=_SEEK_TRIES,
    )
    orders = Orders(
        chosen,
        tuple(places),
        agents,
        options,
        fields.integer("hold_limit_ms", 2000, 1, 60_000),
        fields.integer("hold_limit_octets", 1 << 20, 2000, 1 << 30),
        fields.seconds("deadline_s", 30.0),
        fields.number("spacing_ms", 0.0),
        1000 * fields.integer("lead_us", 0, 0, 1_000_000),
        1_000_000 * fields.integer("doubt_limit_ms", 0, 0, 60_000),
    )
    fields.done()
    return orders


def _place(fields: Fields) -> Place:
    candidate = Candidate(
        fields.text("ap"),
        fields.text("realm"),
        fields.integer("frequency_mhz", 0, 0, 7125),
        cost=fields.number("cost", 0.0),
        preference=fields.number("preference", 0.0),
        coverage_m=fields.number("coverage_m", 0.0) if fields.has("coverage_m") else None,
        highest=fields.integer("highest", 3, 0, 3),
    )
    return Place(candidate, fields.text("networks"))
