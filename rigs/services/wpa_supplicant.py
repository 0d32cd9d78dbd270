"""wpa_supplicant: one interface, a control socket, and no network of its own.

Networks are added over the control socket (`radios.supplicant`), so the file holds only what has to
be there from the start.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Literal

from radios.channel import DatagramChannel
from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Host
from rigs.services.service import Service, fail, launch

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")

_ANSWER_TIMEOUT_S = 20.0
"""From its greeting to the first PONG: opening the interface takes 0.1 s of it in the guest."""
_RETRY_S = 0.01
"""Between looks for its socket. The greeting comes before the socket, and nothing is said after."""


@dataclass(frozen=True, slots=True)
class SupplicantConfig:
    """One supplicant on one interface."""

    interface: str
    driver: Literal["nl80211", "wired"] = "nl80211"
    access_point_scan: Literal[0, 1, 2] = 1
    """Who selects the AP: 1 the supplicant; 0 is for wires; 2 one network at a time, no scan."""
    opportunistic_key_caching: bool = False
    pmf: Literal[0, 1, 2] = 1
    """Default of its networks: protected management frames off, optional, required."""
    fast_reauthentication: bool = False
    """TLS session resumption; off, as every run starts afresh."""
    country: str | None = None
    scan_current_frequency: bool = False
    """Scan the frequency of the present network only (driver permitting)."""
    bss_expiration_s: int = 180
    """How long a scan result may be used without being seen again."""
    autoscan: str | None = None
    """Scanning while not connected, e.g. ``periodic:5``; None leaves it as it is built."""
    name: str = "wpa_supplicant"

    @property
    def control_folder(self) -> str:
        """Folder of its control sockets below the host's work directory."""
        return f"{self.name}.control"

    def control_path(self, host: Host) -> str:
        """Its control socket on `host`."""
        return f"{host.workdir}/{self.control_folder}/{self.interface}"


def text(config: SupplicantConfig, folder: str) -> str:
    """The configuration file; `folder` is where its control sockets go.

    Raises:
        LocalError: a value that wpa_supplicant would refuse or misread.
    """
    _check(config)
    lines = [
        f"ctrl_interface={folder}",
        "update_config=0",
        f"ap_scan={0 if config.driver == 'wired' else config.access_point_scan}",
        f"fast_reauth={int(config.fast_reauthentication)}",
        f"okc={int(config.opportunistic_key_caching)}",
        f"pmf={config.pmf}",
        f"scan_cur_freq={int(config.scan_current_frequency)}",
        f"bss_expiration_age={config.bss_expiration_s}",
        "p2p_disabled=1",
    ]
    if config.country:
        lines.append(f"country={config.country}")
    if config.autoscan:
        lines.append(f"autoscan={config.autoscan}")
    return "\n".join(lines) + "\n"


def _check(config: SupplicantConfig) -> None:
    where = f"supplicant {config.name}"
    if not _INTERFACE.fullmatch(config.interface):
        raise LocalError(
            f"{config.interface!r} is not an interface name",
            where=where,
            remedy="1 to 15 letters, digits, . - _",
        )
    if config.country and not re.fullmatch("[A-Z]{2}", config.country):
        raise LocalError(
            f"{config.country!r} is not a country code", where=where, remedy="two capital letters"
        )
    if config.autoscan and not re.fullmatch(r"[a-z]+:[0-9:]+", config.autoscan):
        raise LocalError(
            f"{config.autoscan!r} is not an autoscan rule", where=where, remedy="write periodic:5"
        )


async def start(host: Host, config: SupplicantConfig) -> Service:
    """Start wpa_supplicant on `host`; returns when it answers on its control socket.

    Raises:
        LocalError: a configuration that cannot be.
        MachineError: it is not installed there, or there is no such interface or radio.
        RemoteError: it refused its configuration, died, or does not answer.
    """
    folder = f"{host.workdir}/{config.control_folder}"
    path = f"{host.workdir}/{config.name}.conf"
    await host.put(path, text(config, folder).encode())

    def explain(line: str) -> MachineError | None:
        if "Could not read interface" in line or "No such device" in line:
            return MachineError(
                f"host {host.name} has no interface {config.interface}",
                where=f"{host.name}/{config.name}",
                remedy="`ip link` there lists them; give the radio to the host first",
            )
        return None

    service = await launch(
        host,
        "wpa_supplicant",
        *("-c", path, "-i", config.interface, "-D", config.driver),
        name=config.name,
        ready=lambda line: "Successfully initialized wpa_supplicant" in line,
        ready_text="Successfully initialized wpa_supplicant",
        explain=explain,
    )
    try:
        await _answers(host, config.control_path(host), service)
    except RemoteError as failure:
        await fail(service, failure, explain)
    except BaseException:
        await service.stop(grace_s=0.5)
        raise
    return service


async def _answers(host: Host, path: str, service: Service) -> None:
    """Wait until the daemon answers PING on its control socket.

    Raises:
        RemoteError: it died, or stayed silent.
    """
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            while service.alive:
                try:
                    channel = await host.connect(path)
                except RemoteError:
                    await asyncio.sleep(_RETRY_S)
                    continue
                try:
                    if await _ping(channel):
                        return
                finally:
                    await channel.close()
    except TimeoutError:
        raise RemoteError(
            f"{service.name} does not answer on {path}{await service.epitaph()}",
            where=service.where,
            remedy="look at its last lines above",
        ) from None
    await service.drained()
    raise await service.death()


async def _ping(channel: DatagramChannel) -> bool:
    try:
        await channel.send(b"PING")
        return (await channel.receive()).strip() == b"PONG"
    except RemoteError:
        return False
