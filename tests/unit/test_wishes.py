"""Wishes for keys and what became of them, over the node's two private sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mpa_hil.agents.preauth_wishes import WishBox, told
from mpa_hil.agents.wishes import Json, Told, Wishes
from mpa_hil.errors import MachineError
from mpa_hil.preauthentication import interface as out

TRAFFIC = out.Traffic(round_trips=9)
AUTHENTICATED = out.Authenticated(
    "b.example", "eap-tls", "", "", TRAFFIC, 450_000_000, 3600, False, False
)
PREPARED = out.Prepared("b.example", 1, 1, 20_000_000, 470_000_000, False)
FAILED = out.Failed("b.example", out.Stage.AUTHENTICATING, "refused", 3)
ENDED = out.Ended("b.example", out.EndCause.EXPIRED)


@pytest.mark.parametrize(
    ("output", "what", "reason"),
    [
        (AUTHENTICATED, "authenticated", ""),
        (PREPARED, "prepared", ""),
        (FAILED, "failed", "refused"),
        (ENDED, "ended", "lifetime over"),
    ],
)
def test_what_matters_is_told(output: out.Output, what: str, reason: str) -> None:
    said = told(output)
    assert said is not None
    assert (said.realm, said.what, said.reason) == ("b.example", what, reason)


def test_a_round_trip_is_the_mean_of_the_authentication() -> None:
    said = told(AUTHENTICATED)
    assert said is not None
    assert said.round_trip_ns == 50_000_000


def test_other_outputs_are_nobodys_wish() -> None:
    assert told(out.Over("b.example")) is None


def test_wishes_arrive_as_commands_and_answers_come_back(tmp_path: Path) -> None:
    path = str(tmp_path / "wishes")
    commands: list[Json] = []
    answers: list[Told] = []
    box, wishes = WishBox(path, commands.append), Wishes(path, answers.append)
    try:
        assert wishes.prepare("0011", 10.0, 60.0) == ""
        assert wishes.forget("b.example") == ""
        box.receive()
        assert commands == [
            {"cmd": "prepare", "networks": "0011", "deadline_s": 10.0, "hold_s": 60.0},
            {"cmd": "forget", "realm": "b.example"},
        ]
        box.tell(PREPARED)
        box.tell(out.Over("b.example"))
        wishes.receive()
        assert answers == [
            Told("b.example", "prepared", total_ns=470_000_000, duration_ns=20_000_000)
        ]
        assert {os.stat(each).st_mode & 0o777 for each in (path, f"{path}.told")} == {0o600}
    finally:
        box.close()
        wishes.close()
    assert list(tmp_path.iterdir()) == []


def test_rubbish_is_neither_wish_nor_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "wishes")
    commands: list[Json] = []
    answers: list[Told] = []
    box, wishes = WishBox(path, commands.append), Wishes(path, answers.append)
    rubbish = (b"", b"\xff", b"[]", b"{}", b'{"cmd":"open","control":"x"}', b"[" * 5000)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for end in (path, f"{path}.told"):
            for datagram in rubbish:
                sender.sendto(datagram, end)
        box.receive()
        wishes.receive()
    box.close()
    wishes.close()
    assert (commands, answers) == ([], [])


def test_nobody_there_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "wishes")
    wishes = Wishes(path, lambda _: None)
    assert "cannot be asked" in wishes.forget("b.example")
    wishes.close()
    box = WishBox(path, lambda _: None)
    box.tell(PREPARED)
    box.close()


def test_without_a_path_there_are_no_wishes() -> None:
    box = WishBox("", lambda _: None)
    assert box.socket is None
    box.receive()
    box.tell(PREPARED)
    box.close()


def test_a_folder_that_is_not_there_is_the_machines_fault(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        Wishes(str(tmp_path / "nowhere" / "wishes"), lambda _: None)
