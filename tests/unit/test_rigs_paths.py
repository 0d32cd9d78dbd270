"""Names and paths that a lab may use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radios.errors import LocalError
from rigs import paths


@pytest.mark.parametrize("lab_id", ["", "a-b", "a b", "../x", "x" * 25, "\u00e9", "a\n"])
def test_lab_ids_refused(lab_id: str) -> None:
    with pytest.raises(LocalError):
        paths.checked_lab_id(lab_id)


@pytest.mark.parametrize("name", ["", "-a", ".", "..", "a/b", "a b", "x" * 33, "a\n", "\u00e9"])
def test_names_refused(name: str) -> None:
    with pytest.raises(LocalError):
        paths.checked_name(name)


def test_names_accepted() -> None:
    assert paths.namespace_of("x1_Y", "ar-a") == "mpa-x1_Y-ar-a"
    assert paths.checked_name("hostapd.2_x-Y") == "hostapd.2_x-Y"


def test_relative_paths_stay_inside() -> None:
    assert paths.resolve("/run/w", "a/./b", "h") == "/run/w/a/b"
    assert paths.resolve("/run/w", "/etc/x", "h") == "/etc/x"
    assert paths.resolve("/run/w", ".", "h") == "/run/w"
    for path in ("..", "../w2", "a/../../x", ""):
        with pytest.raises(LocalError):
            paths.resolve("/run/w", path, "h")


@pytest.mark.parametrize("path", ["/", "/run", "/run/", "/run/w", "/run/w/", ".", "a/.."])
def test_the_work_directory_is_not_for_removal(path: str) -> None:
    with pytest.raises(LocalError):
        paths.resolve_for_removal("/run/w", path, "h")


@given(st.text(max_size=40))
def test_no_relative_path_leads_out(path: str) -> None:
    try:
        full = paths.resolve("/run/w", path, "h")
    except LocalError:
        return
    assert path.startswith("/") or full == "/run/w" or full.startswith("/run/w/")
