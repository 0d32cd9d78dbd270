"""The servers under load, as processes whose processor time and memory are read from /proc."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rigs.local import program_path
from rigs.services import freeradius
from rigs.services.certificates import LabCa

ROOT = Path(__file__).resolve().parents[3]
SERVER_AT = "127.0.0.1"
RADIUS_PORT = 18120
PANA_PORT = 7716
SERVICE_PORT = 7760
DELIVERY_PORTS = {"ca": 7761, "ar": 7762}
REALM = "b.example"
HOME = "home.example"
USER, PASSWORD = "mn", "correct-horse-battery"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_READY_TIMEOUT_S = 60.0


class Process:
    """One server; its last lines are kept for when it fails."""

    def __init__(self, argv: list[str], ready: Callable[[str], bool]) -> None:
        self.name = Path(argv[0]).name
        self.lines: deque[str] = deque(maxlen=2000)
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "PATH": program_path()},
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._follow, args=(ready,), daemon=True).start()
        if not self._ready.wait(_READY_TIMEOUT_S) or self._process.poll() is not None:
            said = "\n".join(self.lines)
            self.stop()
            raise SystemExit(f"{' '.join(argv)} did not get ready:\n{said}")

    def _follow(self, ready: Callable[[str], bool]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
            if ready(line):
                self._ready.set()
        self._ready.set()

    @property
    def cpu_s(self) -> float:
        """Processor time so far, user and system, all threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def rss_octets(self) -> int:
        """Resident memory."""
        fields = Path(f"/proc/{self._process.pid}/statm").read_text().split()
        return int(fields[1]) * _PAGE

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True, slots=True)
class Papers:
    """Certificates, secrets and where their files are."""

    folder: Path
    ca: bytes
    client_certificate: bytes
    client_key: bytes
    secret: str


def papers(folder: Path) -> tuple[Papers, freeradius.EapTls]:
    """What the servers and the clients need, made fresh."""
    authority = LabCa(dt.datetime.now(dt.UTC))
    client = authority.client(f"mn@{HOME}")
    for stem, own in (
        ("mn", client),
        ("aa", authority.client(f"aa@{REALM}")),
        ("ca", authority.server(f"ca.{REALM}")),
        ("ar", authority.server(f"ar.{REALM}")),
    ):
        (folder / f"{stem}.pem").write_bytes(own.certificate)
        (folder / f"{stem}.key").write_bytes(own.key)
        (folder / f"{stem}.key").chmod(0o600)
    (folder / "ca-root.pem").write_bytes(authority.certificate)
    server = freeradius.EapTls(
        authority.certificate,
        authority.server(f"aaa.{HOME}"),
        (HOME,),
        max_version="1.3",
        ttls_users=(freeradius.User(USER, PASSWORD),),
    )
    made = Papers(
        folder, authority.certificate, client.certificate, client.key, freeradius.new_secret()
    )
    return made, server


@contextlib.contextmanager
def radius_server(made: Papers, tls: freeradius.EapTls) -> Iterator[Process]:
    """FreeRADIUS on loopback, as the lab has it but with room for the load."""
    config = freeradius.RadiusConfig(
        clients=(freeradius.Client("bench", "127.0.0.0/8", made.secret),),
        eap_tls=tls,
        address=SERVER_AT,
        port=RADIUS_PORT,
    )
    folder = made.folder / "freeradius"
    for path, data in freeradius.files(config, str(folder)).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path == "radiusd.conf":
            # It counts answered requests too, for cleanup_delay: the lab's 1024 are 20 logins/s.
            data = data.replace(b"max_requests = 1024", b"max_requests = 65536")
            data = data.replace(b"max_sessions = 1024", b"max_sessions = 8192")
        target.write_bytes(data)
    process = Process(
        ["freeradius", "-f", "-l", "stdout", "-d", str(folder), "-D", f"{folder}/dictionaries"],
        lambda line: "Ready to process requests" in line,
    )
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def agent(made: Papers, *, recipients: bool) -> Iterator[Process]:
    """The authentication agent; with `recipients`, a configuration agent and an access router
    that it delivers a key each to for every authentication."""
    with contextlib.ExitStack() as stack:
        listed = []
        for role in ("ca", "ar") if recipients else ():
            module = "configuration_agent" if role == "ca" else "access_router"
            own = _config(made, role, name=f"{role}.{REALM}", authority=f"aa@{REALM}")
            own |= {"listen": [SERVER_AT], "port": DELIVERY_PORTS[role], "addresses": [SERVER_AT]}
            process = _agent(made, role, module, own, "keys.ready")
            stack.callback(process.stop)
            listed.append(
                {
                    "name": f"{role}.{REALM}",
                    "role": role,
                    "address": SERVER_AT,
                    "port": DELIVERY_PORTS[role],
                    "peers": [SERVER_AT],
                }
            )
        server = {"name": "home", "address": SERVER_AT, "port": RADIUS_PORT, "secret": made.secret}
        own = _config(made, "aa", name=f"aa@{REALM}", realm=REALM)
        own |= {
            "addresses": [SERVER_AT],
            "port": PANA_PORT,
            "service_port": SERVICE_PORT,
            "nas_identifier": f"aa.{REALM}",
            "servers": [server],
            "recipients": listed,
        }
        process = _agent(made, "aa", "authentication_agent", own, "aa.ready")
        stack.callback(process.stop)
        yield process


def _config(made: Papers, stem: str, **more: object) -> dict[str, object]:
    folder = made.folder
    return {
        "host": stem,
        "ca": f"{folder}/ca-root.pem",
        "certificate": f"{folder}/{stem}.pem",
        "key": f"{folder}/{stem}.key",
        **more,
    }


def _agent(made: Papers, stem: str, module: str, config: dict[str, object], ready: str) -> Process:
    path = made.folder / f"{stem}.json"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return Process(
        [sys.executable, "-m", f"mpa_hil.agents.{module}", str(path)],
        lambda line: f'"{ready}"' in line,
    )
