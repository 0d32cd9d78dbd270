"""FreeRADIUS 3.2 that also takes RADIUS over TLS (RFC 6614): mutual TLS on TCP port 2083.

The UDP port stays as `freeradius` configures it; the TLS listener serves the same requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from radios.errors import LocalError
from rigs.host import Host
from rigs.services import freeradius_text
from rigs.services.certificates import Credentials
from rigs.services.freeradius import launch_files
from rigs.services.freeradius_config import RadiusConfig
from rigs.services.service import Service

RADSEC_PORT = 2083
"""RFC 6614 s2.1."""
RADSEC_SECRET = "radsec"
"""Fixed by RFC 6614 s2.3: TLS protects, and MD5's part is for show."""


@dataclass(frozen=True, slots=True)
class RadSec:
    """The TLS listener."""

    ca: bytes
    """PEM: authority of the RADIUS clients' certificates."""
    credentials: Credentials
    clients: tuple[str, ...]
    """Addresses or prefixes that may connect; each needs a certificate besides."""
    port: int = RADSEC_PORT
    idle_timeout_s: int = 30
    """A connection without requests is closed after that."""


def files(config: RadiusConfig, tls: RadSec, folder: str) -> dict[str, bytes]:
    """Every file of one instance, by path below `folder`.

    Raises:
        LocalError: a value that cannot stand in the configuration.
    """
    for client in tls.clients:
        try:
            ip_network(client, strict=False)
        except ValueError as error:
            raise LocalError(
                str(error), where=f"RADIUS server {config.name}", remedy="give an IP prefix"
            ) from None
    made = freeradius_text.files(config, folder)
    text = (
        made["radiusd.conf"]
        .decode()
        .replace("server lab {\n", f"{_clients(tls)}server lab {{\n{_listener(config, tls)}", 1)
    )
    made["radiusd.conf"] = text.encode()
    made["radsec.pem"] = tls.credentials.certificate
    made["radsec.key"] = tls.credentials.key
    made["radsec-ca.pem"] = tls.ca
    return made


def _clients(tls: RadSec) -> str:
    members = "".join(
        f"  client radsec{number} {{\n    ipaddr = {address}\n    proto = tls\n"
        f'    secret = "{RADSEC_SECRET}"\n    require_message_authenticator = yes\n  }}\n'
        for number, address in enumerate(tls.clients)
    )
    return f"clients radsec {{\n{members}}}\n"


def _listener(config: RadiusConfig, tls: RadSec) -> str:
    version = "ipaddr" if ip_address(config.address).version == 4 else "ipv6addr"
    return f"""\
  listen {{
    type = auth
    proto = tcp
    {version} = {config.address}
    port = {tls.port}
    clients = radsec
    limit {{
      max_connections = 64
      lifetime = 0
      idle_timeout = {tls.idle_timeout_s}
    }}
    tls {{
      private_key_file = ${{raddbdir}}/radsec.key
      certificate_file = ${{raddbdir}}/radsec.pem
      ca_file = ${{raddbdir}}/radsec-ca.pem
      auto_chain = no
      fragment_size = 8192
      cipher_list = "DEFAULT"
      ecdh_curve = "prime256v1"
      tls_min_version = "1.2"
      tls_max_version = "1.3"
      require_client_cert = yes
      cache {{
        enable = no
      }}
    }}
  }}
"""


async def start(host: Host, config: RadiusConfig, tls: RadSec) -> Service:
    """Start a server on `host`; returns when it answers requests on both ports.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: FreeRADIUS is not installed there, or a port is taken.
        RemoteError: it refused its configuration or died; carries its last lines.
    """
    return await launch_files(host, config, files(config, tls, f"{host.workdir}/{config.name}"))
