"""RFC 6252 figure 10 through the command line: authentication on arrival, by 802.11i, by MPA.

Every column near home and far from it, on one boot. Figures are of the virtual clock, so they
repeat and are asserted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mpa_hil import eventlog, pana

PROJECT = Path(__file__).parents[2]
DISSECTOR = Path(pana.__file__).with_name("pana_preauth.lua")
BOUND_S = 1200
COLUMNS = ("post-near", "post-far", "pre-near", "pre-far", "mpa-near", "mpa-far")
needs_tshark = pytest.mark.skipif(
    shutil.which("tshark") is None, reason="needs tshark: make setup-test"
)

Figures = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def out() -> Iterator[Path]:
    # Short paths: QEMU's sockets lie in it, and a socket's path has 107 octets at most.
    with tempfile.TemporaryDirectory(prefix="mpa-") as folder:
        yield Path(folder) / "fig10"


@pytest.fixture(scope="module")
def compared(out: Path) -> dict[str, Any]:
    temporary = out.parent / "tmp"
    temporary.mkdir()
    settings = ("capture.keys=true", "measure.null_run=false")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mpa_hil.cli", "compare", "lab_configs/fig10.toml"),
            *("--rig", "guest", "--clock", "virtual", "--repeat", "1", "--json"),
            *("--out", str(out), *(word for one in settings for word in ("--set", one))),
        ],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert not list(temporary.iterdir()), "temporary files are left"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def figures(compared: dict[str, Any]) -> Figures:
    return {
        column["name"]: {name: one["median"] for name, one in column["figures"].items()}
        for column in compared["columns"]
    }


def test_every_column_was_measured_and_every_check_held(compared: dict[str, Any]) -> None:
    assert [column["name"] for column in compared["columns"]] == list(COLUMNS)
    assert all(check["passed"] for check in compared["checks"]), compared["checks"]
    assert len(compared["checks"]) >= 4


def test_authentication_grows_by_whole_round_trips_wherever_it_takes_place(
    figures: Figures,
) -> None:
    """The home AAA server is 132 ms further away and back: four times, in EAP-TLS."""
    for kind in ("post", "pre", "mpa"):
        grown_ms = figures[f"{kind}-far"]["t_auth_ms"] - figures[f"{kind}-near"]["t_auth_ms"]
        assert grown_ms == pytest.approx(4 * 132, abs=20), kind


def test_only_authentication_on_arrival_is_in_the_handover(figures: Figures) -> None:
    assert figures["post-far"]["affecting_ms"] > 480
    for column in ("pre-near", "pre-far", "mpa-near", "mpa-far"):
        assert figures[column]["affecting_ms"] == figures[column]["t_assoc_ms"] < 20
    assert figures["mpa-far"]["affecting_ms"] < figures["post-far"]["affecting_ms"] / 30
    assert figures["mpa-near"]["affecting_ms"] < figures["post-near"]["affecting_ms"] / 5


def test_the_prepared_handover_runs_no_eap(out: Path, compared: dict[str, Any]) -> None:
    """R87: only the secure association. And the AA hears of the arrival (R61, R115)."""
    for column in ("mpa-near", "mpa-far"):
        summary = json.loads((out / column / "summary.json").read_bytes())
        [run] = summary["schemes"]["mpa-level1"]["runs"]
        assert "eap" not in run["phases_ms"]
        kinds = [event.__struct_config__.tag for event in events(out / column)]
        assert kinds.count("preauth.prepared") == 1
        assert "preauth.serving" in kinds
        assert "preauth.missed" not in kinds


def events(folder: Path) -> list[Any]:
    return list(eventlog.read(folder / "events.jsonl"))


@needs_tshark
@pytest.mark.parametrize("column", ["mpa-near", "mpa-far"])
def test_tshark_dissects_every_pana_packet(out: Path, figures: Figures, column: str) -> None:
    script = ("-X", f"lua_script:{DISSECTOR}")
    packets = tshark(
        capture(out / column), *script, "-Y", "udp.port == 716", "-e", "_ws.col.Protocol"
    )
    assert len(packets) >= 12, "six round trips at least"
    assert {protocol for (protocol,) in packets} == {"PANA"}
    # What several captures saw is noted as a retransmission; errors are what must not be.
    wrong = "udp.port == 716 && (_ws.malformed || _ws.expert.severity == error)"
    assert not tshark(capture(out / column), *script, "-Y", wrong, "-e", "_ws.expert.message")


@needs_tshark
def test_the_keys_decrypt_the_air_behind_the_new_access_point(out: Path, figures: Figures) -> None:
    """The PMK of pre-authentication is what the frames at b1 are protected with."""
    folder = out / "mpa-near"
    (keys,) = folder.glob("*.80211_keys")
    options = [f"-ouat:80211_keys:{line}" for line in keys.read_text().splitlines()]
    rows = tshark(
        capture(folder),
        *("-owlan.enable_decryption:TRUE", *options),
        *("-Y", "wlan.bssid == 02:00:00:00:0b:01 && udp", "-e", "frame.number"),
    )
    assert len(rows) > 20


def test_no_key_is_anywhere_but_in_the_file_of_keys(out: Path, figures: Figures) -> None:
    """A19: PMKs, in octets and in digits, in every file that a run leaves."""
    for column in COLUMNS:
        folder = out / column
        (file,) = folder.glob("*.80211_keys")
        keys = [line.split('"')[3] for line in file.read_text().splitlines()]
        assert keys
        for path in folder.rglob("*"):
            if path.is_file() and path != file:
                octets = path.read_bytes()
                for key in keys:
                    assert key.encode() not in octets.lower(), path
                    assert bytes.fromhex(key) not in octets, path


def capture(folder: Path) -> Path:
    (found,) = folder.glob("*.pcapng")
    return found


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    argv = ["tshark", "-n", "-r", str(path), "-T", "fields", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]
