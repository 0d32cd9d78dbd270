"""What a deployment may tune at the mobile node. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass

MAX_POINTS = 28
"""Of wpa_supplicant's 32 cached PMKs the rest is left to those that it makes itself: the present
access point's, and one for each that turned out to need full EAP."""
MAX_NETWORKS = 8
"""At once; each is a session, a socket and a TLS run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds."""

    station: str
    """MAC address that the node associates with."""
    max_points: int = MAX_POINTS
    """Keys in the supplicant, over all networks."""
    max_networks: int = MAX_NETWORKS
    attempts: int = 3
    """Authentications begun for one network before it counts as failed (RFC 5836 s6 asks for a
    limit). Only what an attacker could have caused, or silence, is tried again."""
    retry_s: float = 0.3
    """Pause before the second attempt; twice as long before each further one."""
    agent_s: float = 1.5
    """An agent that has said nothing for so long is given up for the network's next one."""
    question_s: float = 0.4
    """Until a question about keys is repeated; twice as long each time, up to `question_max_s`."""
    question_max_s: float = 2.0
    questions: int = 3
    """Unanswered, they mean that an agent asked about a standing association has forgotten it."""
    pending_s: float = 0.5
    """Until it is asked again about access points that did not have their key yet."""
    renew_at: float = 0.8
    """Part of the association's lifetime after which it is renewed, if it is still wanted then."""
    farewell_s: float = 3.0
    """How long the agent is given to acknowledge the end of an association."""
