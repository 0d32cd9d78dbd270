"""The names that other packages use of discovery, in one place."""

from .cache import Cache, Candidate, Place
from .description import (
    DEFAULT_LIFETIME_S,
    PANA_PORT,
    PROTOCOL_PORT,
    Akm,
    CandidateNetwork,
    Learnt,
    Pmf,
    PointOfAttachment,
    Source,
    Trust,
)
from .information import (
    Failed,
    InformationClient,
    InformationService,
    InformationSettings,
    Obtained,
    SendQuery,
)
from .lab_file import from_scenario, learnt_from_scenario

__all__ = [
    "DEFAULT_LIFETIME_S",
    "PANA_PORT",
    "PROTOCOL_PORT",
    "Akm",
    "Cache",
    "Candidate",
    "CandidateNetwork",
    "Failed",
    "InformationClient",
    "InformationService",
    "InformationSettings",
    "Learnt",
    "Obtained",
    "Place",
    "Pmf",
    "PointOfAttachment",
    "SendQuery",
    "Source",
    "Trust",
    "from_scenario",
    "learnt_from_scenario",
]
