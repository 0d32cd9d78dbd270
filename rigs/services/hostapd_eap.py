"""hostapd as a RADIUS server with the shared-key EAP methods that FreeRADIUS lacks.

No radio and no port is served: the driver is `none`, and the interface only a name. Debian 12's
2.10 neither demands Message-Authenticator of a request without EAP nor has another way to, but
there are no requests without EAP here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Host
from rigs.services.freeradius_config import AUTHENTICATION_PORT, Client
from rigs.services.service import Service, launch, port_taken

_IDENTITY = re.compile(r"[A-Za-z0-9@._-]{1,253}")
_SECRET = re.compile(r"[!-~]{16,128}")
_INTERFACE = "eap"


@dataclass(frozen=True, slots=True)
class KeyUser:
    """Somebody with a key, for EAP-GPSK (RFC 5433)."""

    name: str
    """ID_Peer, and the identity of the first response."""
    key: bytes = field(repr=False)
    """16 octets at least; 32 for both ciphersuites."""


@dataclass(frozen=True, slots=True)
class EapServerConfig:
    """One server."""

    clients: tuple[Client, ...]
    users: tuple[KeyUser, ...]
    server_id: str
    """ID_Server."""
    port: int = AUTHENTICATION_PORT
    name: str = "hostapd-eap"


def files(config: EapServerConfig, folder: str) -> dict[str, bytes]:
    """Every file of the server, by path below `folder` (absolute, on its host).

    Raises:
        LocalError: a name, key or secret that hostapd would refuse or misread.
    """
    _check(config)
    lines = (
        f"interface={_INTERFACE}",
        "driver=none",
        "logger_stdout=-1",
        "logger_stdout_level=2",
        "eap_server=1",
        f"server_id={config.server_id}",
        f"eap_user_file={folder}/users",
        f"radius_server_clients={folder}/clients",
        f"radius_server_auth_port={config.port}",
    )
    users = "".join(f'"{user.name}" GPSK {user.key.hex()}\n' for user in config.users)
    clients = "".join(f"{client.address} {client.secret}\n" for client in config.clients)
    return {
        "hostapd.conf": "".join(f"{line}\n" for line in lines).encode(),
        "users": users.encode(),
        "clients": clients.encode(),
    }


def _check(config: EapServerConfig) -> None:
    where = f"EAP server {config.name}"
    for name in (config.server_id, *(user.name for user in config.users)):
        if not _IDENTITY.fullmatch(name):
            raise LocalError(f"{name!r} is no name", where=where, remedy="letters, digits, @ . _ -")
    for user in config.users:
        if len(user.key) < 16:
            raise LocalError(
                f"the key of {user.name} is too short", where=where, remedy="32 random octets"
            )
    for client in config.clients:
        if not _SECRET.fullmatch(client.secret):
            raise LocalError(
                "a RADIUS secret is too short or not printable",
                where=where,
                remedy="16 to 128 printable ASCII characters without spaces",
            )


async def start(host: Host, config: EapServerConfig) -> Service:
    """Start the server on `host`; returns when it answers requests.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: hostapd is not installed there, or the port is taken.
        RemoteError: it refused its configuration or died; carries its last lines.
    """
    folder = f"{host.workdir}/{config.name}"
    for path, data in files(config, folder).items():
        await host.put(f"{folder}/{path}", data)

    def explain(line: str) -> MachineError | RemoteError | None:
        if "Address already in use" in line:
            return port_taken(host, config.name, config.port)
        return None

    return await launch(
        host,
        "hostapd",
        f"{folder}/hostapd.conf",
        name=config.name,
        ready=lambda line: line.startswith(f"{_INTERFACE}: AP-ENABLED"),
        ready_text="AP-ENABLED",
        explain=explain,
    )
