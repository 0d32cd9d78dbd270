"""A wired 802.1X pair for tests: hostapd with its own EAP-TLS server, and wpa_supplicant.

Two network namespaces joined by a veth pair; certificates made on the spot.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from radios.profile import EapTls, NetworkProfile

SERVER_NAME = "aaa.home.example"
IDENTITY = "mn@home.example"


@dataclass
class RadioPair:
    """Paths and processes of the pair; daemons are started by the test."""

    folder: Path
    ap_namespace: str
    station_namespace: str
    ap_interface: str = "ap0"
    station_interface: str = "sta0"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def hostapd_socket(self) -> str:
        return str(self.folder / "hostapd" / self.ap_interface)

    @property
    def supplicant_socket(self) -> str:
        return str(self.folder / "wpa" / self.station_interface)

    @property
    def profile(self) -> NetworkProfile:
        return NetworkProfile(
            ssid=None,
            wired=True,
            security=EapTls(
                identity=IDENTITY,
                ca_cert=str(self.folder / "ca.pem"),
                client_cert=str(self.folder / "client.pem"),
                private_key=str(self.folder / "client.key"),
                server_domain="home.example",
            ),
        )

    def start_hostapd(self) -> subprocess.Popen[bytes]:
        configuration = self.folder / "hostapd.conf"
        users = self.folder / "users"
        users.write_text(f'"{IDENTITY}" TLS\n')
        configuration.write_text(
            f"interface={self.ap_interface}\ndriver=wired\nieee8021x=1\neap_server=1\n"
            f"use_pae_group_addr=1\neapol_version=2\neap_user_file={users}\n"
            f"ctrl_interface={self.folder / 'hostapd'}\n"
            f"ca_cert={self.folder / 'ca.pem'}\nserver_cert={self.folder / 'server.pem'}\n"
            f"private_key={self.folder / 'server.key'}\n"
        )
        return self._start(self.ap_namespace, "hostapd", str(configuration))

    def start_supplicant(self) -> subprocess.Popen[bytes]:
        configuration = self.folder / "wpa.conf"
        configuration.write_text(f"ctrl_interface={self.folder / 'wpa'}\nap_scan=0\n")
        return self._start(
            self.station_namespace,
            *("wpa_supplicant", "-Dwired", f"-i{self.station_interface}", f"-c{configuration}"),
        )

    def _start(self, namespace: str, *argv: str) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{argv[0]}.log", "ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *argv], stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()


def missing() -> str:
    """What this machine lacks for the pair, or an empty string."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    programs = [name for name in ("ip", "hostapd", "wpa_supplicant") if not shutil.which(name)]
    return f"needs {', '.join(programs)} installed" if programs else ""


@contextlib.contextmanager
def radio_pair() -> Iterator[RadioPair]:
    """The pair, its daemons not yet started; everything is removed at the end."""
    if reason := missing():
        pytest.skip(reason)
    tag = secrets.token_hex(4)
    folder = Path(tempfile.mkdtemp(prefix="radio-pair-"))
    pair = RadioPair(folder, f"rp-ap-{tag}", f"rp-sta-{tag}")
    try:
        make_certificates(folder)
        ap, station = pair.ap_namespace, pair.station_namespace
        _ip(f"netns add {ap}\nnetns add {station}")
        _ip(
            f"link add {pair.ap_interface} netns {ap} type veth "
            f"peer name {pair.station_interface} netns {station}"
        )
        for namespace, interface in (
            (ap, pair.ap_interface),
            (station, pair.station_interface),
        ):
            _ip(f"link set {interface} up", "-n", namespace)
        yield pair
    finally:
        pair.stop()
        for namespace in (pair.ap_namespace, pair.station_namespace):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        shutil.rmtree(folder)


def _ip(batch: str, *options: str) -> None:
    subprocess.run(["ip", *options, "-batch", "-"], input=batch.encode(), check=True)


def make_certificates(folder: Path) -> None:
    """ca.pem, and server and client certificates signed by it, with their keys."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    for name, common_name, usage in (
        ("server", SERVER_NAME, ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", IDENTITY, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, authority_name, key).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if name == "server":
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False
            )
        certificate = builder.sign(authority_key, hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
