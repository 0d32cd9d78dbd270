"""What this machine can do: each rig's conditions, which hold, and the command that mends the rest.

Nothing here looks at the machine: `Probes` does, so every combination can be tested.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from radios.errors import MachineError

APT = "sudo apt-get install --no-install-recommends"

HOST_PROGRAMS = {
    "hostapd": "hostapd",
    "wpa_supplicant": "wpasupplicant",
    "iw": "iw",
    "freeradius": "freeradius",
    "dnsmasq": "dnsmasq-base",
    "dhcpcd": "dhcpcd-base",
    "tcpdump": "tcpdump",
    "irtt": "irtt",
    "ip": "iproute2",
    "tc": "iproute2",
    "ping": "iputils-ping",
}
"""Program -> Debian package, for the boxes of a lab that stand on the host itself."""
GUEST_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "genext2fs": "genext2fs",
}
"""Program -> Debian package, for building and booting the guest."""
HWSIM = "mac80211_hwsim"
BENCH = "bench"


@dataclass(frozen=True, slots=True)
class Probes:
    """What the examination asks of a machine.

    Attributes:
        is_root: the caller is root.
        user: the caller's name.
        which: a program can be found.
        module_loadable: an empty text if the kernel module is or can be loaded, else why not.
        accelerator: name and reason of the accelerator that runs a guest; raises MachineError.
        image_path: where the built image is, or an empty text.
        subordinate_ids: the user may map a range of user ids (/etc/subuid and /etc/subgid).
        python_module: a Python package can be imported.
        radios: names of wireless interfaces.
    """

    is_root: Callable[[], bool]
    user: Callable[[], str]
    which: Callable[[str], bool]
    module_loadable: Callable[[str], str]
    accelerator: Callable[[], tuple[str, str]]
    image_path: Callable[[], str]
    subordinate_ids: Callable[[], bool]
    python_module: Callable[[str], bool]
    radios: Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition of a rig.

    Attributes:
        ok: it holds; None: it is not needed, only worth knowing.
        what: the condition as found.
        remedy: the command that mends it; empty when there is nothing to mend.
    """

    ok: bool | None
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Rig:
    """One place where a lab can stand, and whether it can here."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """All conditions hold."""
        return all(finding.ok is not False for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All rigs."""

    rigs: tuple[Rig, ...]

    @property
    def exit_code(self) -> int:
        """0 if this machine can run a lab, else `MachineError`'s.

        The bench does not count: it stands on other machines, which nothing here can vouch for.
        """
        alone = any(rig.ok for rig in self.rigs if rig.name != BENCH)
        return 0 if alone else MachineError.exit_code


def examine(probes: Probes) -> Diagnosis:
    """Look at every rig's conditions."""
    return Diagnosis(
        (
            Rig("guest", tuple(_guest(probes))),
            Rig("host", tuple(_host(probes))),
            Rig(BENCH, tuple(_bench(probes))),
        )
    )


def as_text(diagnosis: Diagnosis) -> str:
    """For people: a paragraph a rig."""
    lines: list[str] = []
    for rig in diagnosis.rigs:
        can = "can be led from here" if rig.name == BENCH else "can run here"
        lines.append(f"{rig.name}: {can if rig.ok else 'cannot run here'}")
        for finding in rig.findings:
            mark = {True: "ok", False: "NO", None: "--"}[finding.ok]
            lines.append(f"  {mark}  {finding.what}")
            if finding.remedy:
                lines.append(f"      mend: {finding.remedy}")
    return "\n".join(lines)


def as_json(diagnosis: Diagnosis) -> str:
    """For programs: rigs by name, each with ``ok`` and its findings."""
    rigs = {
        rig.name: {"ok": rig.ok, "findings": [asdict(finding) for finding in rig.findings]}
        for rig in diagnosis.rigs
    }
    return json.dumps({"rigs": rigs}, indent=2)


def _guest(probes: Probes) -> Iterator[Finding]:
    missing = _missing(probes, GUEST_PROGRAMS)
    image = probes.image_path()
    if not probes.is_root() and not image:
        # Without root the image is built in a user namespace.
        missing |= _missing(probes, {"newuidmap": "uidmap"})
    yield _programs(missing, GUEST_PROGRAMS)
    if "qemu-system-x86_64" not in missing:
        yield _accelerator(probes)
    if not probes.is_root() and not image:
        if probes.subordinate_ids():
            yield Finding(True, "this user may build the image in a user namespace")
        else:
            user = probes.user()
            yield Finding(
                False,
                f"user {user} has no subordinate ids, so the image cannot be built",
                "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + user,
            )
    if image:
        yield Finding(True, f"image built: {image}")
    else:
        yield Finding(None, "image not built yet: the first run builds it, in some minutes")


def _accelerator(probes: Probes) -> Finding:
    try:
        name, reason = probes.accelerator()
    except MachineError as error:
        return Finding(False, error.what, error.remedy)
    if name == "kvm":
        return Finding(True, "KVM runs a guest")
    return Finding(True, f"TCG runs a guest, with a virtual clock; no KVM: {reason}")


def _host(probes: Probes) -> Iterator[Finding]:
    if probes.is_root():
        yield Finding(True, "the caller is root")
    else:
        yield Finding(False, "the caller is not root", "run mpa-hil with sudo")
    why_not = probes.module_loadable(HWSIM)
    if why_not:
        yield Finding(
            False,
            f"{HWSIM}: {why_not}",
            "use --rig guest, or a kernel that has the module (Debian: linux-image-amd64)",
        )
    else:
        yield Finding(True, f"{HWSIM} is there")
    yield _programs(_missing(probes, HOST_PROGRAMS), HOST_PROGRAMS)


def _bench(probes: Probes) -> Iterator[Finding]:
    if probes.python_module("asyncssh"):
        yield Finding(True, "asyncssh is installed")
    else:
        yield Finding(False, "asyncssh is not installed", "make setup")
    radios = probes.radios()
    if radios:
        yield Finding(None, f"radios of this machine: {', '.join(radios)}")
    else:
        yield Finding(None, "no radio in this machine; a bench needs them in the lab's machines")


def _missing(probes: Probes, programs: dict[str, str]) -> set[str]:
    return {program for program in programs if not probes.which(program)}


def _programs(missing: set[str], packages: dict[str, str]) -> Finding:
    if not missing:
        return Finding(True, f"programs found: {', '.join(packages)}")
    wanted = sorted({packages.get(program, "uidmap") for program in missing})
    return Finding(
        False, f"programs missing: {', '.join(sorted(missing))}", f"{APT} {' '.join(wanted)}"
    )
