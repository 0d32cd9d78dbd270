"""Where a standing lab is kept track of, and who holds it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpa_hil import session_place
from mpa_hil.session_place import Place, Record, make_private, place
from radios.errors import MachineError

RECORD = Record(
    pid=7, lab="two", file="/two.toml", rig="guest", clock="wall", lab_id="up", accelerator="tcg"
)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path / "here")


class TestChoice:
    """Which folder it is."""

    @pytest.fixture(autouse=True)
    def bases(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session_place, "RUNTIME", tmp_path / "run")
        monkeypatch.setattr(session_place, "FALLBACK", tmp_path / "tmp")

    def test_the_one_that_the_system_names(self, tmp_path: Path) -> None:
        (tmp_path / "run" / str(os.geteuid())).mkdir(parents=True)
        (tmp_path / "xdg").mkdir()
        found = place({"XDG_RUNTIME_DIR": str(tmp_path / "xdg")})
        assert found.folder == tmp_path / "xdg" / "mpa-hil"

    @pytest.mark.parametrize("named", ["", "/nowhere", "/proc/1/fdinfo/0", "/" + "long" * 25])
    def test_the_users_own_when_none_serves(self, tmp_path: Path, named: str) -> None:
        own = tmp_path / "run" / str(os.geteuid())
        own.mkdir(parents=True)
        assert place({"XDG_RUNTIME_DIR": named}).folder == own / "mpa-hil"

    def test_another_users_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As `sudo -E` leaves it."""
        (tmp_path / "xdg").mkdir()
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        found = place({"XDG_RUNTIME_DIR": str(tmp_path / "xdg")})
        assert found.folder == tmp_path / "tmp" / "mpa-hil-4711"

    def test_a_path_too_long_for_sockets_is_none(self, tmp_path: Path) -> None:
        deep = tmp_path / ("d" * 100)
        deep.mkdir()
        assert place({"XDG_RUNTIME_DIR": str(deep)}).folder.parent == tmp_path / "tmp"

    def test_looking_makes_nothing(self, tmp_path: Path) -> None:
        found = place({})
        assert not found.taken()
        assert found.read() is None
        assert found.last_words() == ""
        assert list(tmp_path.iterdir()) == []


class TestPrivacy:
    """What lies there holds secrets, and programs are run by it."""

    def test_made_and_found_again(self, here: Place) -> None:
        make_private(here.folder)
        make_private(here.folder)
        assert here.folder.stat().st_mode & 0o777 == 0o700

    def test_a_folder_that_others_may_enter(self, here: Place) -> None:
        here.folder.mkdir(mode=0o755)
        with pytest.raises(MachineError, match="others may enter it"):
            here.claim()

    def test_a_link_somewhere(self, here: Place, tmp_path: Path) -> None:
        here.folder.symlink_to(tmp_path)
        with pytest.raises(MachineError, match="not a folder"):
            here.claim()

    def test_another_users(self, here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        here.folder.mkdir(mode=0o700)
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        with pytest.raises(MachineError, match="belongs to user") as caught:
            here.claim()
        assert "XDG_RUNTIME_DIR" in caught.value.remedy

    def test_one_that_cannot_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match="No such file"):
            Place(tmp_path / "no" / "where").claim()


class TestLock:
    """One lab at a time."""

    def test_one_holder(self, here: Place) -> None:
        lock = here.claim()
        assert lock is not None
        assert here.taken()
        assert here.claim() is None
        os.close(lock)
        assert not here.taken()

    def test_who_inherits_it_holds_it(self, here: Place) -> None:
        lock = here.claim()
        assert lock is not None
        inherited = os.dup(lock)
        os.close(lock)
        assert here.taken()
        os.close(inherited)
        assert not here.taken()

    def test_a_removed_lock_is_none(self, here: Place) -> None:
        old = here.claim()
        assert old is not None
        here.remove()
        assert not here.folder.exists()
        assert not here.holds(old)
        new = here.claim()
        assert new is not None
        assert here.holds(new)
        os.close(old)
        assert here.taken()
        os.close(new)


class TestContents:
    """Record, last words, and their removal."""

    def test_record(self, here: Place) -> None:
        make_private(here.folder)
        here.write(RECORD)
        assert here.read() == RECORD
        assert [path.name for path in here.folder.iterdir()] == ["record.json"]

    def test_nonsense_is_no_record(self, here: Place) -> None:
        make_private(here.folder)
        (here.folder / "record.json").write_text('{"pid": "x"}')
        assert here.read() is None

    def test_clear_leaves_the_lock_alone(self, here: Place) -> None:
        lock = here.claim()
        assert lock is not None
        here.write(RECORD)
        here.leave_last_words("it died")
        here.guest.mkdir()
        (here.guest / "console").write_text("")
        (here.folder / "dangling").symlink_to("/nowhere")
        here.clear()
        assert [path.name for path in here.folder.iterdir()] == ["lock"]
        assert here.holds(lock)
        os.close(lock)
