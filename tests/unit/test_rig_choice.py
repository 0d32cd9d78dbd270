"""Which rig and clock come of what was asked and what the machine has."""

from __future__ import annotations

import dataclasses

import pytest

from mpa_hil import doctor
from mpa_hil.request import ClockName, RigName
from mpa_hil.rig_choice import choose
from radios.errors import LocalError, MachineError


def no_guest() -> tuple[str, str]:
    raise MachineError("no virtual machine runs here", remedy="sudo apt-get install qemu")


TCG = doctor.Probes(
    is_root=lambda: False,
    user=lambda: "ann",
    which=lambda _program: True,
    module_loadable=lambda _name: "no such module",
    accelerator=lambda: ("tcg", "no /dev/kvm"),
    image_path=lambda: "",
    subordinate_ids=lambda: True,
    python_module=lambda _name: True,
    radios=lambda: (),
)
KVM = dataclasses.replace(TCG, accelerator=lambda: ("kvm", "KVM runs a guest"))
NOTHING = dataclasses.replace(TCG, accelerator=no_guest)
HOST = dataclasses.replace(KVM, is_root=lambda: True, module_loadable=lambda _name: "")
BARE_HOST = dataclasses.replace(HOST, which=lambda program: program not in ("hostapd", "tc"))
USER = dataclasses.replace(HOST, is_root=lambda: False)


@pytest.mark.parametrize(
    ("rig", "clock", "probes", "chosen", "reason"),
    [
        ("auto", None, TCG, ("guest", "virtual", "tcg"), "not the host: the caller is not root"),
        ("auto", None, KVM, ("guest", "wall", "kvm"), "not the host: the caller is not root"),
        ("auto", None, USER, ("guest", "wall", "kvm"), "not the host: the caller is not root"),
        ("auto", None, HOST, ("host", "wall", None), "the caller is root"),
        ("auto", "wall", HOST, ("host", "wall", None), "the caller is root"),
        ("auto", "virtual", HOST, ("guest", "virtual", "kvm"), "only the guest has a virtual"),
        ("auto", None, BARE_HOST, ("guest", "wall", "kvm"), "programs missing: hostapd, tc"),
        ("guest", None, HOST, ("guest", "wall", "kvm"), "asked for"),
        ("guest", "virtual", KVM, ("guest", "virtual", "kvm"), "asked for"),
        ("guest", "wall", TCG, ("guest", "wall", "tcg"), "asked for"),
        ("host", None, HOST, ("host", "wall", None), "the caller is root"),
        ("bench", None, NOTHING, ("bench", "wall", None), "asked for"),
        ("bench", "wall", NOTHING, ("bench", "wall", None), "asked for"),
    ],
)
def test_choices(
    rig: RigName,
    clock: ClockName | None,
    probes: doctor.Probes,
    chosen: tuple[str, str, str | None],
    reason: str,
) -> None:
    choice = choose(rig, clock, probes)
    accelerator = choice.accelerator.name if choice.accelerator else None
    assert (choice.rig, choice.clock, accelerator) == chosen
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("rig", "probes", "what", "remedy"),
    [
        ("guest", NOTHING, "no virtual machine runs here", "sudo apt-get install qemu"),
        ("auto", NOTHING, "runs here; not the host: the caller is not root", "sudo apt-get"),
        ("host", KVM, "the caller is not root", "sudo, or use --rig guest"),
        (
            "host",
            dataclasses.replace(KVM, is_root=lambda: True),
            "mac80211_hwsim: no such module",
            "--rig guest",
        ),
        (
            "host",
            BARE_HOST,
            "programs missing: hostapd, tc",
            "apt-get install --no-install-recommends hostapd iproute2",
        ),
    ],
)
def test_what_the_machine_lacks(
    rig: RigName, probes: doctor.Probes, what: str, remedy: str
) -> None:
    with pytest.raises(MachineError) as caught:
        choose(rig, None, probes)
    assert what in str(caught.value)
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("rig", ["host", "bench"])
def test_only_the_guest_has_a_virtual_clock(rig: RigName) -> None:
    with pytest.raises(LocalError, match=f"--rig {rig} --clock virtual"):
        choose(rig, "virtual", HOST)


def test_nothing_is_probed_in_vain() -> None:
    """A probe of the accelerator boots a machine, twenty seconds where KVM hangs."""
    assert choose("auto", None, dataclasses.replace(HOST, accelerator=no_guest)).rig == "host"
