"""The doctor on machines of every kind."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mpa_hil import doctor, probes
from radios.errors import MachineError


def no_guest() -> tuple[str, str]:
    raise MachineError("no virtual machine runs here", remedy="sudo apt-get install qemu")


HEALTHY = doctor.Probes(
    is_root=lambda: False,
    user=lambda: "ann",
    which=lambda _program: True,
    module_loadable=lambda _name: "",
    accelerator=lambda: ("kvm", "KVM runs a guest"),
    image_path=lambda: "/cache/guest-1",
    subordinate_ids=lambda: True,
    python_module=lambda _name: True,
    radios=lambda: ("wlan0",),
)


def examine(**changed: object) -> doctor.Diagnosis:
    return doctor.examine(dataclasses.replace(HEALTHY, **changed))  # type: ignore[arg-type]


def rig(diagnosis: doctor.Diagnosis, name: str) -> doctor.Rig:
    return next(rig for rig in diagnosis.rigs if rig.name == name)


def remedies(rig: doctor.Rig) -> list[str]:
    return [finding.remedy for finding in rig.findings if finding.ok is False]


def missing(*programs: str) -> dict[str, object]:
    return {"which": lambda program: program not in programs}


def test_guest_for_an_ordinary_user() -> None:
    diagnosis = examine()
    assert [rig.ok for rig in diagnosis.rigs] == [True, False, True]
    assert diagnosis.exit_code == 0
    assert remedies(rig(diagnosis, "host")) == ["run mpa-hil with sudo"]


def test_root_with_hwsim() -> None:
    assert all(rig.ok for rig in examine(is_root=lambda: True).rigs)


@pytest.mark.parametrize(
    ("changed", "name", "remedy"),
    [
        (
            missing("qemu-system-x86_64", "genext2fs"),
            "guest",
            "sudo apt-get install --no-install-recommends genext2fs qemu-system-x86",
        ),
        (
            {**missing("newuidmap"), "image_path": lambda: ""},
            "guest",
            "sudo apt-get install --no-install-recommends uidmap",
        ),
        (
            {"subordinate_ids": lambda: False, "image_path": lambda: ""},
            "guest",
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann",
        ),
        ({"accelerator": no_guest}, "guest", "sudo apt-get install qemu"),
        (
            {"is_root": lambda: True, "module_loadable": lambda _n: "no such module"},
            "host",
            "use --rig guest, or a kernel that has the module (Debian: linux-image-amd64)",
        ),
        (
            {"is_root": lambda: True, **missing("ip", "tc", "hostapd")},
            "host",
            "sudo apt-get install --no-install-recommends hostapd iproute2",
        ),
        ({"python_module": lambda _name: False}, "bench", "make setup"),
    ],
)
def test_what_is_missing_comes_with_its_command(
    changed: dict[str, object], name: str, remedy: str
) -> None:
    sick = rig(examine(**changed), name)
    assert not sick.ok
    assert remedies(sick) == [remedy]


def test_root_needs_no_user_namespace() -> None:
    diagnosis = examine(
        is_root=lambda: True,
        subordinate_ids=lambda: False,
        image_path=lambda: "",
        **missing("newuidmap"),
    )
    assert rig(diagnosis, "guest").ok


def test_tcg_says_why_not_kvm() -> None:
    diagnosis = examine(accelerator=lambda: ("tcg", "the trial guest hung"))
    assert rig(diagnosis, "guest").ok
    assert "no KVM: the trial guest hung" in doctor.as_text(diagnosis)


def test_neither_guest_nor_host_is_three_whatever_the_bench() -> None:
    diagnosis = examine(accelerator=no_guest)
    assert rig(diagnosis, "bench").ok
    assert diagnosis.exit_code == 3


def test_text_and_json_say_the_same() -> None:
    diagnosis = examine(accelerator=no_guest)
    text, data = doctor.as_text(diagnosis), json.loads(doctor.as_json(diagnosis))
    assert "guest: cannot run here" in text
    assert "mend: sudo apt-get install qemu" in text
    for name, said in data["rigs"].items():
        assert said["ok"] == rig(diagnosis, name).ok
        for finding in said["findings"]:
            assert finding["what"] in text
            assert finding["remedy"] in text


def test_the_real_machine_can_be_asked() -> None:
    real = probes.real()
    assert isinstance(real.is_root(), bool)
    assert real.user()
    assert real.which("sh")
    assert not real.which("no-such-program-anywhere")
    assert real.module_loadable("no_such_module_anywhere")
    assert isinstance(real.subordinate_ids(), bool)
    assert real.python_module("json")
    assert not real.python_module("no_such_module_anywhere")
    assert isinstance(real.radios(), tuple)
