"""What a run brings into the guest, and what of it is kept for the next run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rigs.guest import payload
from rigs.guest.payload import TESTS, Job, pack


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MPA_HIL_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of one module and one test."""
    place = tmp_path / "checkout"
    for name in ("mpa_hil", "tests"):
        (place / name).mkdir(parents=True)
        (place / name / "module.py").write_text(f"# {name}\n")
    monkeypatch.setattr(payload, "PROJECT", place)
    return place


def test_tests_travel_where_they_are_asked_for(project: Path) -> None:
    assert b"payload/code/tests/module.py" not in pack(Job(["true"]))
    with_tests = pack(Job(["true"], folders=TESTS))
    assert b"payload/code/tests/module.py" in with_tests
    assert b"payload/code/mpa_hil/module.py" in with_tests


def test_the_code_is_compiled_once(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack(Job(["true"]))
    monkeypatch.setattr(payload, "_compiled", lambda *_: pytest.fail("compiled again"))
    assert pack(Job(["true"])) == first
    assert pack(Job(["false"])) != first
    assert len(list(cache.glob("code-*"))) == 1


def test_changed_code_is_packed_anew(project: Path) -> None:
    pack(Job(["true"]))
    (project / "mpa_hil" / "module.py").write_text("changed = 1\n")
    assert b"changed = 1" in pack(Job(["true"]))


def test_only_the_last_few_are_kept(project: Path, cache: Path) -> None:
    for turn in range(7):
        (project / "mpa_hil" / "module.py").write_text(f"turn = {turn}\n")
        pack(Job(["true"]))
        newest = max(cache.glob("code-*"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (turn, turn))
    assert sorted(path.stat().st_mtime for path in cache.glob("code-*")) == [3, 4, 5, 6]


def test_a_cache_that_cannot_be_written_costs_time_alone(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPA_HIL_CACHE", str(tmp_path / "nowhere"))
    assert b"payload/code/mpa_hil/module.py" in pack(Job(["true"]))
