"""EAP-GPSK (RFC 5433): mutual authentication by a shared key, the peer's side (sans-IO)."""

from __future__ import annotations

import hmac

from mpa_hil.eap import gpsk_keys, gpsk_messages
from mpa_hil.eap.codec import MethodType, printable
from mpa_hil.eap.gpsk_messages import Fail, Offer, OpCode, Proof
from mpa_hil.eap.interface import Cause, Failure, Random, Success
from mpa_hil.eap.method import Standing, Step, ignore
from mpa_hil.eap.settings import GpskSettings
from mpa_hil.errors import DecodeError, LocalError

MIN_PSK_OCTETS = 16
"""RFC 5433 s4."""


class EapGpsk:
    """EAP-GPSK with one key.

    Raises:
        LocalError: settings that cannot be.
    """

    type = int(MethodType.GPSK)

    def __init__(self, settings: GpskSettings) -> None:
        if not 0 < len(settings.peer_id.encode()) <= gpsk_messages.MAX_ID_OCTETS:
            raise _unusable("the peer's name has not 1 to 254 octets", "name the peer")
        if len(settings.psk) < MIN_PSK_OCTETS:
            raise _unusable(f"a key of {len(settings.psk)} octets", "give 32 random octets")
        suites = [gpsk_keys.CIPHERSUITES.get(number) for number in settings.ciphersuites]
        self._suites = [s for s in suites if s is not None and s.key_octets <= len(settings.psk)]
        if not self._suites:
            raise _unusable("no ciphersuite that the key is long enough for", "allow 1, or 2 and 1")
        self._settings = settings

    def begin(self, random: Random) -> EapGpskRun:
        """Start a run."""
        return EapGpskRun(self._settings, self._suites, random)


class EapGpskRun:
    """One run: GPSK-1 and 2, then GPSK-3 and 4; whatever does not fit is dropped (RFC 5433 s10)."""

    def __init__(
        self, settings: GpskSettings, suites: list[gpsk_keys.Ciphersuite], random: Random
    ) -> None:
        self._settings = settings
        self._suites = suites
        self._random = random
        self._standing = Standing.CONTINUES
        self._offer: Offer | None = None
        self._suite = suites[0]
        self._rand_peer = b""
        self._keys: gpsk_keys.Keys | None = None

    def process(self, data: bytes) -> Step:
        """See `method.MethodRun.process`."""
        try:
            message = gpsk_messages.decode(data)
        except DecodeError as error:
            return ignore(self._standing, error.what)
        if isinstance(message, Offer):
            return self._answer(message)
        if self._offer is None or self._keys is None or self._standing is not Standing.MAY_FAIL:
            return ignore(self._standing, "out of order")
        if isinstance(message, Proof):
            return self._check(message, self._offer, self._keys)
        return self._refused(message, self._keys)

    def _answer(self, offer: Offer) -> Step:
        if self._offer is not None:
            return ignore(self._standing, "a second GPSK-1")
        offered = offer.specifiers()
        suite = next((suite for suite in self._suites if suite.specifier in offered), None)
        wanted = self._settings.server_id.encode()
        if suite is None:
            return Step(self._standing, ignored="EAP-GPSK without a common ciphersuite", nak=True)
        if wanted and offer.server_id != wanted:
            who = f"EAP-GPSK by {printable(offer.server_id)!r}, not by {self._settings.server_id!r}"
            return Step(self._standing, ignored=who, nak=True)
        peer_id = self._settings.peer_id.encode()
        self._offer, self._suite = offer, suite
        self._rand_peer = self._random(gpsk_messages.RAND_OCTETS)
        text = self._rand_peer + peer_id + offer.rand_server + offer.server_id
        self._keys = gpsk_keys.derive(suite, self._settings.psk, text)
        body = gpsk_messages.answer(peer_id, offer, self._rand_peer, suite.octets)
        self._standing = Standing.MAY_FAIL
        return self._say(OpCode.GPSK_2, body, self._keys)

    def _check(self, proof: Proof, offer: Offer, keys: gpsk_keys.Keys) -> Step:
        if (
            proof.rand_peer != self._rand_peer
            or proof.rand_server != offer.rand_server
            or proof.server_id != offer.server_id
            or proof.suite != self._suite.octets
        ):
            return ignore(self._standing, "GPSK-3 does not answer this run's GPSK-2")
        if not hmac.compare_digest(proof.mac, self._suite.mac(keys.sk, proof.signed)):
            return ignore(self._standing, "GPSK-3 with a wrong MAC")
        self._standing = Standing.MAY_END
        return self._say(OpCode.GPSK_4, gpsk_messages.NO_PAYLOAD, keys)

    def _refused(self, fail: Fail, keys: gpsk_keys.Keys) -> Step:
        right = self._suite.mac(keys.sk, fail.signed)
        if fail.mac is not None and not hmac.compare_digest(fail.mac, right):
            return ignore(self._standing, "GPSK-Protected-Fail with a wrong MAC")
        why = gpsk_messages.FAILURES.get(fail.code, f"failure {fail.code}")
        failure = Failure(Cause.REJECTED, f"the server refused: {why}")
        # The same message goes back, so that the server may send EAP-Failure.
        return Step(Standing.LOST, gpsk_messages.encode(fail), failure)

    def _say(self, code: OpCode, body: bytes, keys: gpsk_keys.Keys) -> Step:
        return Step(self._standing, bytes((code,)) + body + self._suite.mac(keys.sk, body))

    def succeed(self) -> Success:
        """See `method.MethodRun.succeed`."""
        assert self._keys is not None
        assert self._offer is not None
        return Success(
            method="EAP-GPSK",
            msk=self._keys.msk,
            emsk=self._keys.emsk,
            session_id=bytes((MethodType.GPSK,)) + self._keys.method_id,
            peer_id=self._settings.peer_id,
            server_id=printable(self._offer.server_id),
            detail=f"ciphersuite {self._suite.specifier}",
        )

    def fail(self) -> None:
        """See `method.MethodRun.fail`: there is nothing to forget."""


def _unusable(what: str, remedy: str) -> LocalError:
    return LocalError(what, where="EAP-GPSK settings", remedy=remedy)
