"""report.html: well formed, harmless whatever is in the folder, and with the summary's numbers."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from report_folder import LAB, log, packets, summary, switch_run, write_folder

from mpa_hil import cli, exits
from mpa_hil.report import tables
from mpa_hil.report.grids import grids
from mpa_hil.report.html import REPORT, write
from mpa_hil.report.html.write import without_secrets
from mpa_hil.report.summary import Summary, VerdictSummary, failed_run, make_scheme

HOSTILE = "<script>alert('1')</script>&\"'\x00\x1b\ud800]]>--><svg onload=x>"


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal handlers are left behind by the commands that are run here."""
    monkeypatch.setattr(exits.Signals, "install", lambda self: None)


def made(folder: Path, what: Summary | None = None) -> str:
    """The page of a folder."""
    return write(folder, summary() if what is None else what).read_text(encoding="utf-8")


def tree(page: str) -> ElementTree.Element:
    """The page as an XML parser sees it: one that is not well formed raises."""
    doctype, _, body = page.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return ElementTree.fromstring(body)


def words(element: ElementTree.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def test_the_page_is_well_formed_and_asks_for_nothing(tmp_path: Path) -> None:
    page = made(tmp_path, write_folder(tmp_path))
    root = tree(page)
    names = {element.tag for element in root.iter()}
    assert not names & {"script", "link", "img", "iframe", "object", "form", "image", "use"}
    assert "default-src 'none'" in page.replace("&#39;", "'")
    linked = [e.get("href") for e in root.iter() if e.get("href")]
    ids = {f"#{e.get('id')}" for e in root.iter() if e.get("id")}
    assert linked
    assert set(linked) <= ids
    assert not re.search(r"https?:|url\(|@import|\son\w+=", page)


def test_the_same_folder_gives_the_same_page(tmp_path: Path) -> None:
    what = write_folder(tmp_path)
    first = made(tmp_path, what)
    assert made(tmp_path, what) == first
    assert REPORT not in first  # a page that lists itself differs the second time


def test_every_cell_of_the_terminals_tables_is_there(tmp_path: Path) -> None:
    what = write_folder(tmp_path)
    root = tree(made(tmp_path, what))
    tables = [t for t in root.iter("table") if words(t.find("caption")) != "Versions"]  # type: ignore[arg-type]
    expected = grids(what)
    assert len(tables) == len(expected) == 3
    for table, grid in zip(tables, expected, strict=True):
        rows = [[words(cell) for cell in row] for row in table.iter("tr")]
        cells = [[c.strip() for c in row.cells] for group in grid.groups for row in group]
        assert rows == [list(grid.headings), *cells]


def test_the_cards_have_the_summarys_medians(tmp_path: Path) -> None:
    root = tree(made(tmp_path, write_folder(tmp_path)))
    cards = {words(c.find("h3")): words(c) for c in root.iter("div") if c.get("class") == "card"}  # type: ignore[arg-type]
    median = summary().schemes["reactive"].median
    assert f"{median['gap_ms']['downlink']:.1f} ms" in cards["reactive"]
    assert f"blackout up {median['gap_ms']['uplink']:.1f} ms" in cards["reactive"]
    assert "lost down 8 of 1500" in cards["reactive"]
    assert "3 runs" in cards["reactive"]
    assert "0 runs, 1 failed" in cards["l2-floor"]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """The lab's, a flow's, a version's, a note's, an event's: all may come from the air."""
    what = write_folder(tmp_path)
    lines = [json.dumps({**e, "text": HOSTILE, "address": HOSTILE, "host": HOSTILE}) for e in log()]
    kept = [json.dumps(e) for e in log() if e["type"] in ("run.started", "trigger.fired")]
    (tmp_path / "events.jsonl").write_text("\n".join((*kept, *lines)))
    name = HOSTILE.replace("\x00", "").replace("\ud800", "").replace('"', "")
    (tmp_path / "packets.csv").write_text(
        "".join(f"{','.join(map(str, r))}\n" for r in packets(3)).replace("voice", f'"{name}"')
    )
    (tmp_path / "lab.toml").write_bytes(HOSTILE.encode("utf-8", "replace"))
    hostile = msgspec.structs.replace(
        what,
        lab=HOSTILE,
        rig=HOSTILE,
        versions={HOSTILE: HOSTILE},
        notes=[HOSTILE],
        schemes={**what.schemes, HOSTILE: make_scheme([failed_run(HOSTILE, 9)])},
        verdict=VerdictSummary(False, [HOSTILE], []),
    )
    page = made(tmp_path, hostile)
    root = tree(page)
    assert {"script", "svg onload"}.isdisjoint(e.tag for e in root.iter())
    assert not any(key.startswith("on") for e in root.iter() for key in e.attrib)
    assert "<script" not in page
    assert "alert(&#39;1&#39;)" in page


def test_a_failed_run_says_so(tmp_path: Path) -> None:
    text = words(tree(made(tmp_path, write_folder(tmp_path))))
    assert "l2-floor , run 1 (none went well; this is the last; failed: hostapd b1 died)" in text
    assert "failed l2-floor, run 1: hostapd b1 died" in text
    assert "The event log shows nothing of this run." in text
    assert "packets.csv has no packets of this run." in text


@pytest.mark.parametrize("missing", ["events.jsonl", "packets.csv", "lab.toml"])
def test_a_missing_file_costs_only_what_it_was_to_show(tmp_path: Path, missing: str) -> None:
    what = write_folder(tmp_path)
    (tmp_path / missing).unlink()
    text = words(tree(made(tmp_path, what)))
    assert "163.0 ms" in text
    said = {
        "events.jsonl": "events.jsonl cannot be read",
        "packets.csv": "packets.csv cannot be read",
        "lab.toml": "The folder has no lab.toml.",
    }
    assert said[missing] in text


def test_lines_that_are_no_events_are_counted(tmp_path: Path) -> None:
    what = write_folder(tmp_path)
    with (tmp_path / "events.jsonl").open("a") as stream:
        stream.write('no json\n[]\n{"type": "x"}\n{"t_ns": "1", "type": "x"}\n')
    assert "events.jsonl: 4 lines are no events" in words(tree(made(tmp_path, what)))


def test_an_empty_experiment_has_a_page(tmp_path: Path) -> None:
    text = words(tree(made(tmp_path, summary(schemes={}, verdict=None, versions={}))))
    assert "No scheme was run." in text
    assert "No check was made of these figures." in text
    assert "No run was measured." in text


def test_one_repeat_promises_no_spread(tmp_path: Path) -> None:
    what = summary(schemes={"reactive": make_scheme([switch_run(1)])})
    text = words(tree(made(tmp_path, what)))
    assert "One run of each scheme: nothing can be said of the spread." in text
    assert "its only run" in text


def test_a_refused_verdict_stands_at_the_top(tmp_path: Path) -> None:
    what = summary(verdict=VerdictSummary(False, ["null run clean: it lost 3"], []))
    text = words(tree(made(tmp_path, what)))
    assert "No verdict: do not quote these figures. null run clean: it lost 3" in text


def test_no_secret_of_the_lab_file_is_shown(tmp_path: Path) -> None:
    what = write_folder(tmp_path)
    secret = "c0ffee" * 11
    text = LAB.read_text().replace('security = "wpa2-enterprise"', f'psk = "{secret[:64]}"')
    text = text.replace("lifetime_s = 300", f'lifetime_s = 300\nkey = "{secret[:32]}"')
    (tmp_path / "lab.toml").write_text(text)
    page = made(tmp_path, what)
    assert secret[:32] in text
    assert secret[:8] not in page
    assert "psk = # a secret" in page


def test_paths_of_certificates_are_no_secrets() -> None:
    text = 'key = "certs/mn.key"\ncert = "mn.pem"\n'
    assert without_secrets(text) == text


def test_the_command_prints_the_tables_and_makes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what = write_folder(tmp_path)
    assert exits.run(lambda: cli.body(["report", str(tmp_path)])) == 0
    printed = capsys.readouterr().out
    out = io.StringIO()
    tables.render(what, out)
    assert printed == f"{out.getvalue()}\nTo look at: {tmp_path / REPORT}\n"
    assert "163.0" in (tmp_path / REPORT).read_text()


def test_the_command_prints_the_summary_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path)
    assert exits.run(lambda: cli.body(["report", str(tmp_path), "--json"])) == 0
    assert capsys.readouterr().out == (tmp_path / "summary.json").read_text()
    assert (tmp_path / REPORT).is_file()


def test_the_command_says_what_is_no_runs_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> str:
        assert exits.run(lambda: cli.body(["report", str(tmp_path)])) == 2
        return capsys.readouterr().err

    assert "give the folder that mpa-hil run named at its end" in refused()
    column = tmp_path / "mpa"
    column.mkdir()
    write_folder(column)
    (tmp_path / "compare.json").write_text("{}")
    assert "this is a comparison: give one of its columns, mpa" in refused()
    assert not (tmp_path / REPORT).exists()


def test_a_summary_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "summary.json").write_text('{"lab": 3}')
    assert exits.run(lambda: cli.body(["report", str(tmp_path)])) == 1
    assert "not a summary" in capsys.readouterr().err
