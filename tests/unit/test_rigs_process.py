"""Words for outcomes, and what cannot be started."""

from __future__ import annotations

import pytest

from radios.errors import LocalError, MachineError, RemoteError
from rigs.host import Completed
from rigs.local import find_program
from rigs.process import checked, checked_argv, outcome


def test_outcomes_in_words() -> None:
    assert outcome(3) == "exited with 3"
    assert outcome(-9) == "was killed by SIGKILL"
    assert outcome(-200) == "was killed by signal 200"


def test_argv_is_checked() -> None:
    assert checked_argv(["a", ""], "h") == ("a", "")
    for argv in ([], [""], ["a", "b\0"], ["a\0"]):
        with pytest.raises(LocalError):
            checked_argv(argv, "h")


def test_a_failure_quotes_the_end_of_what_was_said() -> None:
    good = Completed(("true",), 0, b"", b"")
    assert checked(good, "h") is good
    with pytest.raises(RemoteError, match=r"h: tool a b c d e exited with 1: .*the end$"):
        checked(Completed(("tool", *"abcdefg"), 1, b"", b"x" * 9000 + b" the end\n"), "h")
    with pytest.raises(RemoteError, match=r"only output"):
        checked(Completed(("tool",), 1, b"only output", b""), "h")


def test_programs_are_found_beyond_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MachineError, match="install"):
        find_program("no-such-program", "h")
    assert find_program("/bin/sh", "h") == "/bin/sh"
    with pytest.raises(MachineError):
        find_program("./sh", "h", "/nowhere")
    assert find_program("./sh", "h", "/bin") == "/bin/sh"
