"""The networks that the mobile node knows, as its configuration describes them.

networks      by access point: {ssid, bssid, frequency_mhz, pmf, psk?}; without psk: EAP-TLS
eap_tls       {identity, ca_cert, client_cert, private_key, server_domain}, where one needs it
"""

from __future__ import annotations

from mpa_hil.agents.config import Fields
from radios.profile import EapTls, NetworkProfile, Pmf, RawPsk


def read_networks(fields: Fields) -> tuple[dict[str, NetworkProfile], dict[str, int]]:
    """The supplicant's profile and the frequency (MHz) of each access point.

    Raises:
        LocalError: a value is missing or wrong.
    """
    profiles: dict[str, NetworkProfile] = {}
    frequencies: dict[str, int] = {}
    eap = fields.inner("eap_tls") if fields.has("eap_tls") else None
    tls = None
    if eap is not None:
        tls = EapTls(
            identity=eap.text("identity"),
            ca_cert=eap.text("ca_cert"),
            client_cert=eap.text("client_cert"),
            private_key=eap.text("private_key"),
            server_domain=eap.text("server_domain"),
        )
        eap.done()
    for name, network in fields.inner("networks").items():
        psk = network.key("psk", 32) if network.has("psk") else None
        if psk is None and tls is None:
            raise network.fault("psk", "it is missing, and there is no eap_tls either")
        security = RawPsk(psk) if psk is not None else tls
        assert security is not None
        profiles[name] = NetworkProfile(
            network.text("ssid").encode(),
            security,
            pmf=Pmf(network.integer("pmf", 1, 0, 2)),
            bssid=network.text("bssid"),
        )
        frequencies[name] = network.integer("frequency_mhz", None, 2400, 7125)
        network.done()
    return profiles, frequencies
