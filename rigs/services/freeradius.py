"""FreeRADIUS 3.2 as home AAA (EAP-TLS server) or visited AAA (proxy by realm).

Each instance gets a configuration of its own, written here in full: no default tree, two modules at
most, eleven dictionaries instead of two hundred. It is ready in a quarter of the instructions that
the packaged tree takes. Roots of trust, secrets and realms all come from the caller.

Every packet carries a Message-Authenticator (RFC 3579 s3.2) and is refused without one. Debian 12's
3.2.1 can demand it of clients by configuration but ignores the same setting for home servers, so
a rule in the proxy's post-auth section demands it of their replies.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from radios.errors import MachineError, RemoteError
from rigs.host import Host
from rigs.services.freeradius_config import (
    AUTHENTICATION_PORT,
    Client,
    EapTls,
    HomeServer,
    RadiusConfig,
    Route,
    User,
    can_be_called,
)
from rigs.services.freeradius_text import files
from rigs.services.service import Service, launch, port_taken

__all__ = [
    "AUTHENTICATION_PORT",
    "Client",
    "EapTls",
    "HomeServer",
    "RadiusConfig",
    "Route",
    "User",
    "Verdict",
    "can_be_called",
    "files",
    "new_secret",
    "parse_verdict",
    "start",
]


def new_secret() -> str:
    """A fresh shared secret for one link of the lab, 128 random bits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One authentication as the server logged it."""

    ok: bool
    user: str
    reason: str
    """Why it was rejected; empty when it was not or nothing is known."""
    client: str


# A rejection in the authorize section is logged twice; "Invalid user" is the first of the two.
_VERDICT = re.compile(
    r"Auth: \(\d+\) +(?P<what>Login OK|Login incorrect)(?: \((?P<reason>.*)\))?: "
    r"\[(?P<user>[^\]]*?)(?:/<.*?>)?\] \(from client (?P<client>\S+)"
)


def parse_verdict(line: str) -> Verdict | None:
    """What a log line says about an authentication; None for lines about anything else."""
    match = _VERDICT.search(line)
    if match is None:
        return None
    return Verdict(
        ok=match["what"] == "Login OK",
        user=match["user"],
        reason=match["reason"] or "",
        client=match["client"],
    )


async def start(host: Host, config: RadiusConfig) -> Service:
    """Start a server on `host`; returns when it answers requests.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: FreeRADIUS is not installed there, or its port is taken.
        RemoteError: it refused its configuration or died; carries its last lines.
    """
    return await launch_files(host, config, files(config, f"{host.workdir}/{config.name}"))


async def launch_files(host: Host, config: RadiusConfig, made: Mapping[str, bytes]) -> Service:
    """Start a server whose files were made, and perhaps changed since, by the caller."""
    folder = f"{host.workdir}/{config.name}"
    for path, data in made.items():
        await host.put(f"{folder}/{path}", data)

    def explain(line: str) -> MachineError | RemoteError | None:
        if "Address already in use" in line:
            return port_taken(host, config.name, config.port)
        if "Cannot assign requested address" in line:
            return RemoteError(
                f"host {host.name} has no address {config.address}",
                where=f"{host.name}/{config.name}",
                remedy="configure its interfaces before its servers",
            )
        return None

    return await launch(
        host,
        "freeradius",
        "-fxx" if config.debug else "-f",
        *("-l", "stdout", "-d", folder, "-D", f"{folder}/dictionaries"),
        name=config.name,
        ready=lambda line: line.endswith("Ready to process requests"),
        ready_text="Ready to process requests",
        explain=explain,
    )
