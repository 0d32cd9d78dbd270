"""Agreement on algorithms in the first exchange (RFC 5191 s4.1, RFC 6786 s2), sans-IO.

Nothing here is secret or protected yet. What an attacker changes comes out when keys are derived
from both messages as either side saw them (RFC 5191 s5.3).
"""

from __future__ import annotations

from functools import lru_cache

from .association import Suite
from .message import Avp, Message, unsigned
from .numbers import AvpCode, Encryption, Integrity, Prf


def offer(suites: tuple[Suite, ...], encryption: Encryption | None) -> tuple[Avp, ...]:
    """The PAA's AVPs, best algorithm first, none twice."""
    prfs = dict.fromkeys(suite.prf for suite in suites)
    integrities = dict.fromkeys(suite.integrity for suite in suites)
    avps = [unsigned(AvpCode.PRF_ALGORITHM, prf) for prf in prfs]
    avps += [unsigned(AvpCode.INTEGRITY_ALGORITHM, integrity) for integrity in integrities]
    if encryption is not None:
        avps.append(unsigned(AvpCode.ENCRYPTION_ALGORITHM, encryption))
    return tuple(avps)


def choose(
    offered: Message, suites: tuple[Suite, ...], encryption: Encryption | None
) -> Suite | None:
    """The PaC's choice from a PAR[S]: the first of its pairs that the PAA offers whole."""
    prfs = offered.numbers(AvpCode.PRF_ALGORITHM)
    integrities = offered.numbers(AvpCode.INTEGRITY_ALGORITHM)
    encryptions = offered.numbers(AvpCode.ENCRYPTION_ALGORITHM)
    agreed = encryption if encryption in encryptions else None
    for suite in suites:
        if suite.prf in prfs and suite.integrity in integrities:
            return Suite(suite.prf, suite.integrity, agreed)
    return None


def answer(suite: Suite) -> tuple[Avp, ...]:
    """The PaC's AVPs for its choice."""
    return offer((suite,), suite.encryption)


def chosen(answered: Message, offered: tuple[Avp, ...]) -> Suite | None:
    """What a PAN[S] chose from `offered`; None if that was not on offer or is not whole."""
    taken = tuple(avp for avp in answered.avps if avp[0] != AvpCode.EAP_PAYLOAD)
    return _suite(taken) if all(avp in offered for avp in taken) else None


@lru_cache(maxsize=64)  # there are not as many combinations of what is on offer
def _suite(taken: tuple[Avp, ...]) -> Suite | None:
    numbers = {code: int.from_bytes(value, "big") for code, value in taken}
    prf = numbers.get(AvpCode.PRF_ALGORITHM)
    integrity = numbers.get(AvpCode.INTEGRITY_ALGORITHM)
    encryption = numbers.get(AvpCode.ENCRYPTION_ALGORITHM)
    if prf is None or integrity is None:
        return None
    return Suite(
        Prf(prf), Integrity(integrity), None if encryption is None else Encryption(encryption)
    )
