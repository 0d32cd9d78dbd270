"""`python -m tests.bench.aa`: pre-authentications through one agent beside authentications
straight to the same FreeRADIUS, by hostap's `eapol_test` and by the project's own RADIUS client.

Everything is on this machine's loopback and shares its processors, the load as well; so rates are
those of the whole, and what one server can do on a core of its own is 1 / (CPU per
authentication). `eapol_test` paces itself: 107 ms for each authentication of a process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rigs.local import program_path
from rigs.services import freeradius

from . import load
from .processes import (
    HOME,
    PASSWORD,
    RADIUS_PORT,
    SERVER_AT,
    USER,
    Papers,
    Process,
    agent,
    papers,
    radius_server,
)

_KEPT_BY_RECIPIENT = 800
"""Keys that a recipient takes with room to spare (its `maximum_keys` is 900)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to authenticate, measured."""

    way: str
    method: str
    count: int
    at_once: int
    failures: int
    wall_s: float
    per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    radius_cpu_ms: float
    """FreeRADIUS, for each authentication."""
    agent_cpu_ms: float | None
    load_cpu_ms: float | None


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="mpa-bench-") as name:
        folder = Path(name)
        made, tls = papers(folder)
        rows: list[Row] = []
        for method in options.methods:
            rows += _methods_rows(options, made, tls, method)
        idle = _idle(options, made, tls) if options.idle else []
    report = {
        "machine": {
            "processors": os.cpu_count(),
            "model": _processor(),
            "python": platform.python_version(),
            "freeradius": _version("freeradius", "-v"),
        },
        "rows": [asdict(row) for row in rows],
        "idle": idle,
    }
    print(table(rows, idle))
    if options.output:
        Path(options.output).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        print(f"written to {options.output}")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.aa", description=__doc__)

    def numbers(text: str) -> list[int]:
        return sorted(int(part) for part in text.split(",") if part)

    parser.add_argument("--count", type=int, default=1000, help="authentications of each way")
    parser.add_argument("--at-once", type=int, default=64, help="of them under way at a time")
    parser.add_argument("--loads", type=int, default=2, help="processes that make the load")
    parser.add_argument("--methods", type=lambda t: t.split(","), default=["tls", "ttls"])
    parser.add_argument("--idle", type=numbers, default=[10, 100, 1000, 5000])
    parser.add_argument("--output", default="", help="JSON file")
    return parser.parse_args(arguments)


def _methods_rows(
    options: argparse.Namespace, made: Papers, tls: freeradius.EapTls, method: load.Kind
) -> list[Row]:
    rows = []
    count, at_once = options.count, options.at_once
    tls_ = _first(tls, method)
    with radius_server(made, tls_) as radius:
        rows.append(_eapol_row(made, radius, method, count, max(32, at_once)))
        _say(rows[-1])
        rows.append(
            _load_row("direct, unloaded", load.by_radius, options, made, radius, method, 50, 1)
        )
        _say(rows[-1])
        rows.append(
            _load_row("direct", load.by_radius, options, made, radius, method, count, at_once)
        )
        _say(rows[-1])
    for way, recipients, number, many in (
        ("PANA, unloaded", False, 50, 1),
        ("PANA", False, count, at_once),
        ("PANA, keys delivered", True, min(count, _KEPT_BY_RECIPIENT), at_once),
    ):
        with radius_server(made, tls_) as radius, agent(made, recipients=recipients) as aa:
            rows.append(
                _load_row(way, load.by_pana, options, made, radius, method, number, many, aa)
            )
        _say(rows[-1])
    return rows


def _first(tls: freeradius.EapTls, method: load.Kind) -> freeradius.EapTls:
    return replace(tls, first_method=method)


def _load_row(
    way: str,
    work: Callable[[load.Job], load.Done],
    options: argparse.Namespace,
    made: Papers,
    radius: Process,
    method: load.Kind,
    count: int,
    at_once: int,
    aa: Process | None = None,
) -> Row:
    before = radius.cpu_s, aa.cpu_s if aa else 0.0
    loads = min(options.loads, at_once)
    wall_s, done = load.spread(work, made, method, count, at_once, loads)
    radius_s = radius.cpu_s - before[0]
    agent_s = aa.cpu_s - before[1] if aa else None
    latencies = sorted(latency for part in done for latency in part.latencies_s)
    failures = [why for part in done for why in part.failures]
    for why in sorted(set(failures))[:3]:
        print(f"  failed: {why}", file=sys.stderr)
    good = max(1, len(latencies))
    return Row(
        way=way,
        method=method,
        count=count,
        at_once=at_once,
        failures=len(failures),
        wall_s=wall_s,
        per_s=len(latencies) / wall_s,
        p50_ms=_part(latencies, 0.50),
        p95_ms=_part(latencies, 0.95),
        p99_ms=_part(latencies, 0.99),
        radius_cpu_ms=1000 * radius_s / good,
        agent_cpu_ms=None if agent_s is None else 1000 * agent_s / good,
        load_cpu_ms=1000 * sum(part.cpu_s for part in done) / good,
    )


def _eapol_row(made: Papers, radius: Process, method: load.Kind, count: int, at_once: int) -> Row:
    """hostap's own client: so many processes, each one authentication after the other."""
    folder = made.folder
    common = f' key_mgmt=WPA-EAP\n identity="mn@{HOME}"\n ca_cert="{folder}/ca-root.pem"\n'
    if method == "tls":
        inner = f' eap=TLS\n client_cert="{folder}/mn.pem"\n private_key="{folder}/mn.key"\n'
    else:
        inner = (
            f' eap=TTLS\n anonymous_identity="mn@{HOME}"\n password="{PASSWORD}"\n'
            ' phase2="auth=MSCHAPV2"\n'
        )
        common = common.replace(f'identity="mn@{HOME}"', f'identity="{USER}"')
    path = folder / "eapol.conf"
    path.write_text(
        f'network={{\n{common}{inner} phase1="tls_disable_tlsv1_3=0"\n}}\n', encoding="utf-8"
    )
    each = -(-count // at_once)
    argv = ["eapol_test", "-c", str(path), "-a", SERVER_AT, "-p", str(RADIUS_PORT)]
    argv += ["-s", made.secret, "-r", str(each - 1), "-t", "60"]
    env = {**os.environ, "PATH": program_path()}
    before = radius.cpu_s
    children_before = os.times()
    start = time.monotonic()
    running = [
        subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        for _ in range(at_once)
    ]
    failures = sum(process.wait() != 0 for process in running)
    wall_s = time.monotonic() - start
    after = os.times()
    total = each * at_once
    good = max(1, total - failures * each)
    spent = (after.children_user + after.children_system) - (
        children_before.children_user + children_before.children_system
    )
    return Row(
        way="eapol_test",
        method=method,
        count=total,
        at_once=at_once,
        failures=failures * each,
        wall_s=wall_s,
        per_s=good / wall_s,
        p50_ms=None,
        p95_ms=None,
        p99_ms=None,
        radius_cpu_ms=1000 * (radius.cpu_s - before) / good,
        agent_cpu_ms=None,
        load_cpu_ms=1000 * spent / good,
    )


def _idle(
    options: argparse.Namespace, made: Papers, tls: freeradius.EapTls
) -> list[dict[str, float]]:
    """Memory of the agent with so many MPA-SAs that nobody uses."""
    found: list[dict[str, float]] = []
    tls_ = _first(tls, "ttls")  # the cheaper one for the load; an MPA-SA is the same
    with radius_server(made, tls_) as radius, agent(made, recipients=False) as aa:
        del radius
        base = aa.rss_octets
        there = 0
        for number in options.idle:
            _, done = load.spread(
                load.by_pana, made, "ttls", number - there, options.at_once, options.loads, there
            )
            there = number
            good = sum(len(part.latencies_s) for part in done)
            failed = sum(len(part.failures) for part in done)
            grown = aa.rss_octets - base
            found.append(
                {
                    "associations": number,
                    "failed": failed,
                    "authenticated": good,
                    "rss_mb": aa.rss_octets / 1e6,
                    "octets_each": grown / number,
                }
            )
            print(f"  {number} MPA-SAs: {grown / number:.0f} octets each", file=sys.stderr)
    return found


def table(rows: Iterable[Row], idle: Iterable[dict[str, float]]) -> str:
    """The figures, to be read."""
    head = ("way", "method", "n", "at once", "failed", "/s", "p50 ms", "p95 ms", "p99 ms")
    head += ("AA ms", "RADIUS ms", "load ms", "AA /s/core")
    lines = [head]
    for row in rows:
        aa = row.agent_cpu_ms
        lines.append(
            (
                *(row.way, row.method, str(row.count), str(row.at_once), str(row.failures)),
                f"{row.per_s:.0f}",
                *(_figure(value) for value in (row.p50_ms, row.p95_ms, row.p99_ms)),
                *(_figure(value) for value in (aa, row.radius_cpu_ms, row.load_cpu_ms)),
                f"{1000 / aa:.0f}" if aa else "-",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text.append("")
    text += [
        f"idle: {entry['associations']:.0f} MPA-SAs, {entry['rss_mb']:.1f} MB resident, "
        f"{entry['octets_each']:.0f} octets each"
        for entry in idle
    ]
    return "\n".join(text)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _part(ordered: list[float], part: float) -> float | None:
    if len(ordered) < 2:
        return None
    return 1000 * statistics.quantiles(ordered, n=100, method="inclusive")[round(part * 100) - 1]


def _say(row: Row) -> None:
    print(f"  {row.way} {row.method}: {row.per_s:.0f}/s", file=sys.stderr)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(*argv: str) -> str:
    env = {**os.environ, "PATH": program_path()}
    said = subprocess.run(argv, capture_output=True, text=True, check=False, env=env).stdout
    return said.partition("\n")[0]


if __name__ == "__main__":
    main(sys.argv[1:])
