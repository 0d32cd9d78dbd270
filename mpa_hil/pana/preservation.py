"""An established session at the PAA as plain values, to outlive the agent's process; sans-IO.

The lifetime is kept on the wall clock, which a new process or a booted machine shares with the old
one, and never grows: a clock that was set back does not lengthen it (RFC 4962: a key's lifetime).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from mpa_hil.mobility.interface import NS_PER_S, Endpoint, Instant

from .association import SecurityAssociation, Suite
from .conversation import CATCH_UP, Conversation
from .message import DecodeError
from .numbers import Encryption, Integrity, Prf
from .paa_session import Session
from .paa_table import PaaState
from .settings import PaaSettings

FORMAT = 1
_ENDED = (PaaState.SESS_TERM, PaaState.WAIT_FAIL_PAN, PaaState.CLOSED)


def preserve(session: Session, now: Instant) -> dict[str, object] | None:
    """Everything that a restart must not lose; None if there is nothing to keep up."""
    conversation = session.conversation
    sa = conversation.sa
    if not session.established or sa is None or session.state in _ENDED:
        return None
    relay = conversation.relay
    return {
        "format": FORMAT,
        "session_id": conversation.session_id,
        "pac": str(conversation.peer.address),
        "pac_port": conversation.peer.port,
        "relay": None if relay is None else str(relay.address),
        "relay_port": None if relay is None else relay.port,
        "first_out": conversation.first_out,
        "next_out": conversation.next_out,
        "next_in": conversation.next_in,
        "preauthentication": conversation.preauthentication,
        "prf": int(sa.suite.prf),
        "integrity": int(sa.suite.integrity),
        "encryption": None if sa.suite.encryption is None else int(sa.suite.encryption),
        "key_id": sa.key_id,
        "next_key_id": session.next_key_id,
        "msk": sa.msk.hex(),
        "auth_key": sa.auth_key.hex(),
        "pac_encryption_key": sa.pac_encryption_key.hex(),
        "paa_encryption_key": sa.paa_encryption_key.hex(),
        "first_request": session.first[0].hex(),
        "first_answer": session.first[1].hex(),
        "pac_nonce": session.nonces[0].hex(),
        "paa_nonce": session.nonces[1].hex(),
        "lifetime_s": session.lifetime_s,
        "expires_unix_ns": now.unix_ns + session.expires_ns - now.monotonic_ns,
    }


class _Reader:
    """Takes values out, each of the type that it must have."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def number(self, name: str) -> int:
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise DecodeError(f"preserved session: {name} is no number")
        return value

    def optional(self, name: str) -> int | None:
        return None if self._values.get(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise DecodeError(f"preserved session: {name} is neither true nor false")
        return value

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str):
            raise DecodeError(f"preserved session: {name} is no text")
        return value

    def octets(self, name: str) -> bytes:
        try:
            return bytes.fromhex(self.text(name))
        except ValueError:
            raise DecodeError(f"preserved session: {name} is not hexadecimal") from None

    def endpoint(self, name: str) -> Endpoint | None:
        if self._values.get(name) is None:
            return None
        try:
            return Endpoint(ip_address(self.text(name)), self.number(f"{name}_port"))
        except ValueError:
            raise DecodeError(f"preserved session: {name} is no address") from None

    def suite(self) -> Suite:
        encryption = self.optional("encryption")
        try:
            return Suite(
                Prf(self.number("prf")),
                Integrity(self.number("integrity")),
                None if encryption is None else Encryption(encryption),
            )
        except ValueError:
            raise DecodeError("preserved session: an algorithm not known here") from None


def restore(
    values: Mapping[str, object],
    settings: PaaSettings,
    random: Callable[[int], bytes],
    now: Instant,
) -> Session | None:
    """The session again, or None if its lifetime is over.

    Raises:
        DecodeError: not what `preserve` writes.
    """
    read = _Reader(values)
    if read.number("format") != FORMAT:
        raise DecodeError("preserved session: written by another version")
    lifetime_s = read.number("lifetime_s")
    left_ns = min(read.number("expires_unix_ns") - now.unix_ns, lifetime_s * NS_PER_S)
    pac = read.endpoint("pac")
    if pac is None:
        raise DecodeError("preserved session: pac is missing")
    suite = read.suite()
    conversation = Conversation(
        read.number("session_id"),
        pac,
        settings.timing,
        random,
        client=False,
        conceal=settings.conceal,
        first_out=read.number("first_out"),
        next_in=read.optional("next_in"),
        preauthentication=read.flag("preauthentication"),
        relay=read.endpoint("relay"),
    )
    conversation.next_out = read.number("next_out")
    conversation.catch_up = CATCH_UP
    conversation.sa = SecurityAssociation(
        suite,
        conversation.session_id,
        read.number("key_id"),
        read.octets("msk"),
        read.octets("auth_key"),
        read.octets("pac_encryption_key"),
        read.octets("paa_encryption_key"),
    )
    first = (read.octets("first_request"), read.octets("first_answer"))
    session = Session(conversation, suite, first, settings, random)
    session.state = PaaState.OPEN
    session.established = True
    session.next_key_id = read.number("next_key_id")
    session.nonces = (read.octets("pac_nonce"), read.octets("paa_nonce"))
    session.lifetime_s = lifetime_s
    session.expires_ns = session.ends_ns = now.monotonic_ns + left_ns
    return session if left_ns > 0 else None
