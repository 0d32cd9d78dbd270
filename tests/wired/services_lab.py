"""Boxes with addresses for tests of the servers in `rigs.services`."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import time
from collections.abc import AsyncIterator

import pytest
from contract_lab import unique_lab

from rigs.links import Link, Topology
from rigs.netns import NamespaceHost
from rigs.network import build
from rigs.services.certificates import Credentials, LabCa

IDENTITY = "mn@home.example"
SERVER_NAME = "aaa.home.example"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip without root or without one of the programs, naming what is missing."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if os.geteuid() != 0:
        missing.insert(0, "root")
    return pytest.mark.skipif(bool(missing), reason=f"missing: {', '.join(missing)}")


@contextlib.asynccontextmanager
async def boxes(*links: Link) -> AsyncIterator[dict[str, NamespaceHost]]:
    """The boxes that the links connect, by name; gone afterwards."""
    topology = Topology(links=links)
    lab = f"{unique_lab('sv')}_{time.monotonic_ns() % 10**6}"
    hosts: dict[str, NamespaceHost] = {}
    try:
        for name in topology.hosts():
            hosts[name] = await NamespaceHost.create(name, lab)
        await build(topology, hosts)
        yield hosts
    finally:
        for host in hosts.values():
            await host.close()


class Papers:
    """A CA and what it has issued, for one test."""

    def __init__(self) -> None:
        self.ca = LabCa(dt.datetime.now(dt.UTC))
        self.server = self.ca.server(SERVER_NAME)
        self.client = self.ca.client(IDENTITY)


async def put_client(host: NamespaceHost, ca: bytes, client: Credentials) -> None:
    """The files of an EAP-TLS peer, in the host's work directory."""
    await host.put("ca.pem", ca)
    await host.put("mn.pem", client.certificate)
    await host.put("mn.key", client.key)
