"""Real endpoints, real sockets, a real outage: flows over a veth pair between two namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mpa_hil.traffic import endpoint, irtt, transfer, transfers
from mpa_hil.traffic.figures import FlowFigures, Window, figures
from mpa_hil.traffic.observer import agree, sightings
from mpa_hil.traffic.pcap import read_pcap
from mpa_hil.traffic.records import EndpointRecord, FlowLog, decode, join

MS = 1_000_000
MAC, NOBODY = "02:00:00:00:91:07", "02:00:00:00:91:ff"
MN, CN = "10.91.7.1", "10.91.7.2"
HOME = "10.91.99.9"  # the MN's home address, on its loopback interface

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and iproute2 for namespaces"
)


@dataclass(frozen=True)
class Lab:
    mn: str
    cn: str
    folder: Path


def ip(*argv: str) -> None:
    subprocess.run(["ip", *argv], check=True, timeout=20)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    mn, cn = (f"tr{os.getpid()}-{end}" for end in ("mn", "cn"))
    with contextlib.ExitStack() as undo:
        for name in (mn, cn):
            ip("netns", "add", name)
            undo.callback(ip, "netns", "del", name)
        ip("-n", mn, "link", "add", "up0", "type", "veth", "peer", "name", "up0", "netns", cn)
        ip("-n", mn, "link", "set", "up0", "address", MAC)
        for name, address in ((mn, MN), (cn, CN)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "up0")
            ip("-n", name, "link", "set", "up0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        # A permanent neighbour: else the outage grows by ARP's retransmission time of 1 s.
        ip("-n", cn, "neighbour", "add", MN, "lladdr", MAC, "dev", "up0", "nud", "permanent")
        ip("-n", mn, "address", "add", f"{HOME}/32", "dev", "lo")
        ip("-n", cn, "route", "add", HOME, "via", MN)
        yield Lab(mn, cn, tmp_path)


def line_of(process: subprocess.Popen[bytes], stream: Any, wanted: bytes, limit_s: float) -> bytes:
    """Read unbuffered lines until one holds `wanted`; fails when none comes for `limit_s`."""
    while select.select([stream], [], [], limit_s)[0]:
        line: bytes = stream.readline()
        if wanted in line:
            return line
        assert line, f"{process.args!r} ended without saying {wanted!r}"
    raise AssertionError(f"nothing from {process.args!r} for {limit_s} s")


class Running:
    """One endpoint process in a namespace."""

    def __init__(
        self,
        undo: contextlib.ExitStack,
        lab: Lab,
        name: str,
        program: str = endpoint.__file__,
        **config: Any,
    ) -> None:
        self.path = lab.folder / f"{name}.bin"
        text = json.dumps({"host": name, "output": str(self.path), **config})
        argument = [] if program == endpoint.__file__ else [text]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-S", program, *argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        undo.callback(reap, self.process)
        if not argument:
            self.tell(text)
        self.expect("flow.ready")

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")

    def expect(self, kind: str, limit_s: float = 15) -> dict[str, Any]:
        wanted = f'"{kind}"'.encode()
        event: dict[str, Any] = json.loads(
            line_of(self.process, self.process.stdout, wanted, limit_s)
        )
        return event

    def stop(self) -> EndpointRecord:
        return decode(self.end())

    def end(self) -> bytes:
        """Have it write its record; what it wrote."""
        self.tell("stop")
        self.expect("flow.done")
        assert self.process.wait(10) == 0
        return self.path.read_bytes()


def reap(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing running and no pipe open."""
    if process.poll() is None:
        process.kill()
        process.wait(5)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def flow(name: str, local: str, remote: str, ssrc: int, count: int) -> dict[str, Any]:
    return {
        "flow": name,
        "local": local,
        "remote": remote,
        "port": 40000,
        "ssrc": ssrc,
        "spacing_ns": 2 * MS,
        "payload_bytes": 32,
        "start_ns": None,
        "count": count,
    }


def talk(undo: contextlib.ExitStack, lab: Lab, count: int) -> tuple[Running, Running]:
    """Endpoints at both ends of the veth, sending to each other, started together."""
    sink = [{"address": "0.0.0.0", "port": 40000}]
    mn = Running(undo, lab, lab.mn, send=[flow("up", HOME, CN, 1, count)], receive=sink)
    cn = Running(undo, lab, lab.cn, send=[flow("down", CN, HOME, 2, count)], receive=sink)
    mn.tell("start")
    cn.tell("start")
    return mn, cn


def both(mn: EndpointRecord, cn: EndpointRecord) -> tuple[FlowLog, FlowLog]:
    return join(cn, mn, "downlink")[0], join(mn, cn, "uplink")[0]


def whole(log: FlowLog) -> Window:
    """From a little after the flow's start to a little before its end."""
    return Window(log.sent_ns[0] + 50 * MS, log.sent_ns[-1] - 50 * MS)


def test_two_seconds_both_ways_lose_nothing(lab: Lab) -> None:
    with contextlib.ExitStack() as undo:
        mn, cn = talk(undo, lab, 1000)
        mn.expect("flow.quiet")
        cn.expect("flow.quiet")
        records = mn.stop(), cn.stop()
    for log in both(*records):
        seen = figures(log, whole(log))
        assert (seen.sent, seen.lost, seen.duplicated, seen.reordered) == (1000, 0, 0, 0)
        # A busy machine may keep the sender waiting; the network itself adds next to nothing.
        assert seen.gap_ms < seen.sender_hole_ms + 2
        assert seen.delay_p50_ms is not None
        assert 0 < seen.delay_p50_ms < 2
        assert min(log.lateness_ns) >= 0
    for record in records:
        assert record.dropped_by_socket == record.foreign == record.unstamped == 0
        assert abs(record.offset_drift_ns) < 5 * MS


def capture(
    undo: contextlib.ExitStack, lab: Lab, name: str
) -> tuple[subprocess.Popen[bytes], Path]:
    path = lab.folder / f"{name}.pcap"
    command = ["tcpdump", "-i", "up0", "-n", "-U", "-s", "160", "-Z", "root"]
    command += ["--time-stamp-precision=nano", "--immediate-mode"]
    process = subprocess.Popen(
        ["ip", "netns", "exec", name, *command, "-w", str(path), "udp"],
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    undo.callback(reap, process)
    line_of(process, process.stderr, b"listening on", 15)
    return process, path


def test_an_outage_is_seen_alike_by_endpoint_and_capture(lab: Lab) -> None:
    if not shutil.which("tcpdump"):
        pytest.skip("tcpdump is not installed (apt install tcpdump)")
    with contextlib.ExitStack() as undo:
        captures = {name: capture(undo, lab, name) for name in (lab.mn, lab.cn)}
        mn, cn = talk(undo, lab, 1000)
        cut = "sleep 0.6; ip link set up0 down; sleep 0.3; ip link set up0 up"
        subprocess.run(["ip", "netns", "exec", lab.mn, "sh", "-c", cut], check=True, timeout=20)
        mn.expect("flow.quiet")
        cn.expect("flow.quiet")
        records = mn.stop(), cn.stop()
        seen = {}
        for name, (process, path) in captures.items():
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            seen[name] = read_pcap(path.read_bytes())
    down, up = both(*records)
    for log, name, record in ((down, lab.mn, records[0]), (up, lab.cn, records[1])):
        result: FlowFigures = figures(log, whole(log))
        assert result.recovered
        assert result.gap_ms == pytest.approx(300, abs=60)
        assert result.lost * 2 == pytest.approx(result.gap_ms, abs=40)
        flows = sightings(seen[name], {40000}, record.offset_ns)
        ssrc = 2 if log is down else 1
        verdict = agree(result.gap_ms, flows[ssrc].gap_ms(whole(log), log.spacing_ns), 2.0)
        assert verdict.agrees, str(verdict)
    # The MN's kernel had no route while its interface was down: offered, refused, counted as lost.
    refused = figures(up, whole(up))
    assert 0 < refused.refused <= refused.lost


def test_bad_configuration_is_refused(lab: Lab) -> None:
    broken = {
        "output": str(lab.folder / "x"),
        "send": [flow("a", MN, CN, 1, 1) | {"spacing_ns": 0}],
    }
    for argument in (json.dumps(broken), "{", '{"send": []}'):
        done = subprocess.run(
            [sys.executable, endpoint.__file__, argument],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 1
        assert json.loads(done.stdout)["type"] == "flow.failed"


def test_irtt_both_directions(lab: Lab) -> None:
    if not shutil.which("irtt"):
        pytest.skip("irtt is not installed (apt install irtt)")
    output = lab.folder / "irtt.json"
    with contextlib.ExitStack() as undo:
        server = subprocess.Popen(
            ["ip", "netns", "exec", lab.mn, *irtt.server_command(HOME)],
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        undo.callback(reap, server)
        line_of(server, server.stdout, b"starting IPv4 listener", 15)
        client = irtt.client_command(HOME, duration_s=1.0, interval_ms=2.0, output=str(output))
        subprocess.run(
            ["ip", "netns", "exec", lab.cn, *client], check=True, timeout=60, capture_output=True
        )
        server.terminate()
        server.wait(10)
    run = irtt.parse(output.read_bytes())
    assert run.downlink.direction == "downlink"
    assert len(run.downlink.sent_ns) > 300
    for log in (run.downlink, run.uplink):
        seen = figures(log, whole(log))
        assert seen.lost == 0
        assert seen.delay_p50_ms is not None
        assert 0 < seen.delay_p50_ms < 5
    assert run.estimated == 0


def test_a_download_stalls_for_as_long_as_its_segments_are_lost(lab: Lab) -> None:
    one = {"flow": "download", "port": 40000, "rate_octets_s": 1_000_000}
    with contextlib.ExitStack() as undo:
        gave = {**one, "role": "send", "local": CN, "remote": HOME}
        got = {**one, "role": "receive", "local": HOME, "remote": CN}
        cn = Running(undo, lab, lab.cn, transfer.__file__, transfers=[gave])
        mn = Running(undo, lab, lab.mn, transfer.__file__, transfers=[got])
        mn.tell("start")
        cn.tell("start")
        # To an address that nobody has: frames are lost then, where a dead link would refuse them.
        away, back = (f"ip neighbour replace {MN} lladdr {mac} dev up0" for mac in (NOBODY, MAC))
        cut = f"sleep 0.5; {away} nud permanent; sleep 0.3; {back} nud permanent; sleep 1.2"
        subprocess.run(["ip", "netns", "exec", lab.cn, "sh", "-c", cut], check=True, timeout=20)
        for end in (cn, mn):
            end.tell("quiet")
            end.expect("flow.quiet")
        (receiver,) = transfers.decode(mn.end())
        (sender,) = transfers.decode(cn.end())
    found = transfers.figures(receiver, sender, None)
    # TCP notices by its own timers: the outage's 300 ms, and up to one more of those.
    assert 295 < found.stall_ms < 900
    assert found.recovered
    assert found.error == ""
    assert found.retransmissions > 0
    assert found.octets == receiver.octets <= sender.octets
    assert found.usual_ms < 100  # a veth's offloads make bursts of it
    assert 3 < found.rate_mbit < 8.5
