"""The networks that the mobile node knows: those of its configuration, and those it learns of.

networks      by access point: {ssid, bssid, frequency_mhz, pmf, psk?}; without psk: EAP-TLS
eap_tls       {identity, ca_cert, client_cert, private_key, server_domain}, where one needs it
"""

from __future__ import annotations

from collections.abc import Sequence

from mpa_hil.agents.config import Fields
from radios.profile import EapTls, NetworkProfile, Pmf, RawPsk


class Networks:
    """Access points by name: the supplicant's profile and the frequency (MHz) of each.

    Args:
        fields: the agent's configuration, of which it takes `networks` and `eap_tls`.

    Raises:
        LocalError: a value is missing or wrong.
    """

    def __init__(self, fields: Fields) -> None:
        self._tls = _eap_tls(fields.inner("eap_tls")) if fields.has("eap_tls") else None
        self._configured = {
            name: self._read(network, network.text("ssid").encode())
            for name, network in fields.inner("networks").items()
        }
        self._present = dict(self._configured)

    @property
    def profiles(self) -> dict[str, NetworkProfile]:
        """Those that the node knows now."""
        return {name: profile for name, (profile, _) in self._present.items()}

    def profile(self, name: str) -> NetworkProfile:
        """One of them."""
        return self._present[name][0]

    def frequency_mhz(self, name: str) -> int:
        """Where it is."""
        return self._present[name][1]

    def begin(self, names: Sequence[str]) -> None:
        """Forget what was learnt, and of the configured ones all but these; empty: none of them."""
        self._present = {
            name: known for name, known in self._configured.items() if not names or name in names
        }

    def learn(self, fields: Fields) -> str:
        """Take up an access point that was discovered; its name.

        The credentials are the node's own (`eap_tls`). The SSID comes in hexadecimal digits, since
        it may be any octets.

        Raises:
            LocalError: a value is missing or wrong, or the node has no credentials. A name that is
                known keeps its meaning, whatever is said of it now.
        """
        name = fields.text("network")
        if name in self._present:
            raise fields.fault("network", f"{name} is known already")
        self._present[name] = self._read(fields, fields.key("ssid", 1))
        return name

    def _read(self, network: Fields, ssid: bytes) -> tuple[NetworkProfile, int]:
        psk = network.key("psk", 32) if network.has("psk") else None
        security = RawPsk(psk) if psk is not None else self._tls
        if security is None:
            raise network.fault("psk", "it is missing, and there is no eap_tls either")
        profile = NetworkProfile(
            ssid, security, pmf=Pmf(network.integer("pmf", 1, 0, 2)), bssid=network.text("bssid")
        )
        frequency_mhz = network.integer("frequency_mhz", None, 2400, 7125)
        network.done()
        return profile, frequency_mhz


def _eap_tls(eap: Fields) -> EapTls:
    tls = EapTls(
        identity=eap.text("identity"),
        ca_cert=eap.text("ca_cert"),
        client_cert=eap.text("client_cert"),
        private_key=eap.text("private_key"),
        server_domain=eap.text("server_domain"),
    )
    eap.done()
    return tls
