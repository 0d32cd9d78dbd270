"""The mobile node's EAP credentials, as the agent's configuration describes them.

    {method: "eap-tls", identity, ca_cert, client_cert, private_key, server_domain, crl?}
    {method: "eap-ttls", identity, ca_cert, server_domain, user, password, inner?, crl?}
    {method: "eap-gpsk", identity, psk, server_id?}

`identity` goes over the wire in the clear, so for EAP-TTLS it may be anonymous; its realm routes
the exchange to the home server. Files are PEM, read once. `inner` is `mschapv2` or `pap`.
`tls_max` is "1.3" or "1.2"; `resumption` (true) lets EAP-TLS go on with its last session.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpa_hil.agents.config import Fields
from mpa_hil.eap.interface import Peer

if TYPE_CHECKING:
    from mpa_hil.eap.method import Method
    from mpa_hil.eap.settings import TlsSettings

_METHODS = ("eap-tls", "eap-ttls", "eap-gpsk")


@dataclass(frozen=True, slots=True)
class Credentials:
    """One method, made ready: its TLS context and sessions serve every network."""

    name: str
    identity: str
    method: Method

    def peer(self) -> Peer:
        """For one authentication."""
        from mpa_hil.eap.peer import EapPeer

        return EapPeer((self.method,), self.identity, os.urandom)


def read_credentials(fields: Fields) -> Credentials:
    """Read the configuration and load what the method needs, which in the guest takes seconds.

    Raises:
        LocalError: a value is missing or wrong, or a file cannot be read.
    """
    name = fields.choice("method", _METHODS)
    identity = fields.text("identity")
    method: Method
    if name == "eap-gpsk":
        from mpa_hil.eap.eap_gpsk import EapGpsk
        from mpa_hil.eap.settings import GpskSettings

        server_id = fields.text("server_id") if fields.has("server_id") else ""
        method = EapGpsk(GpskSettings(fields.key("psk", 16), identity, server_id))
    elif name == "eap-ttls":
        from mpa_hil.eap.eap_ttls import EapTtls
        from mpa_hil.eap.settings import MsChapV2, Pap

        inner = MsChapV2 if fields.choice("inner", ("mschapv2", "pap")) == "mschapv2" else Pap
        user, password = fields.text("user"), fields.text("password")
        method = EapTtls(_tls(fields), inner(user, password))
    else:
        from mpa_hil.eap.eap_tls import EapTls

        method = EapTls(_tls(fields))
    fields.done()
    return Credentials(name, identity, method)


def _tls(fields: Fields) -> TlsSettings:
    from mpa_hil.eap.settings import TlsSettings

    return TlsSettings(
        ca=_pem(fields, "ca_cert"),
        domains=(fields.text("server_domain"),),
        certificate=_pem(fields, "client_cert") if fields.has("client_cert") else b"",
        key=_pem(fields, "private_key") if fields.has("private_key") else b"",
        crl=_pem(fields, "crl") if fields.has("crl") else b"",
        max_version="1.2" if fields.choice("tls_max", ("1.3", "1.2")) == "1.2" else "1.3",
        resumption=fields.truth("resumption", True),
    )


def _pem(fields: Fields, key: str) -> bytes:
    path = fields.text(key)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise fields.fault(key, f"{path} cannot be read: {error.strerror}") from error
