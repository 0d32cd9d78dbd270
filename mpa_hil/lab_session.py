"""A lab that stays up: `mpa-hil lab up`, `status`, `exec` and `down`, one lab a user at a time.

`up` leaves a keeper behind (`session_keeper`), which keeps the lab and its state (`session_place`);
everything else finds it there. A lab whose keeper died is no lab: what it left is taken away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import click
import msgspec

from radios.errors import LocalError, RemoteError

from . import scenario, session_end, session_exec, session_keeper
from .lab.agents import environment
from .lab.standing import Request
from .request import LabRequest
from .rig_choice import Choice, choose
from .session_place import Place, Record, place
from .session_rigs import END_FILE

LAB_ID = "up"
"""Short, for radios are called after it and the kernel cuts their names."""
KEEPER = "mpa_hil.session_keeper"
UP = "mpa-hil lab up LAB"
DOWN = "mpa-hil lab down"


def up(request: LabRequest) -> int:
    """Build the lab that a file describes and leave it running.

    Raises:
        LocalError: the lab file is wrong, a lab is up already, or the rig cannot leave one running.
        MachineError: the machine cannot carry it.
        RemoteError: it did not come up.
    """
    described = scenario.load(request.lab, request.overrides)
    if request.rig == "bench":
        raise LocalError(
            "a lab on a bench cannot be left running",
            where="--rig bench",
            remedy="use --rig guest, or run an experiment on it: mpa-hil run LAB --rig bench",
        )
    here = place()
    lock = here.claim()
    if lock is None:
        raise _occupied(here)
    try:
        _sweep_host()  # what a lab left whose keeper was killed
        here.clear()
        record = Record(
            pid=os.getpid(),
            lab=described.lab.name,
            file=str(request.lab.absolute()),
            rig="",
            clock="",
            lab_id=LAB_ID,
        )
        here.write(record)
        # A lab that stands gets real time unless told otherwise: a virtual clock skips idle time,
        # so leases and certificates would run out while somebody types.
        choice = choose(request.rig, request.clock or "wall")
        _say(f"rig: {choice.rig}, clock: {choice.clock} ({choice.reason})")
        record = _with_choice(record, choice)
        record = _prepare(here, record, described)
        _start(here, record, lock)
    except BaseException:
        if here.holds(lock):  # else the keeper took it away itself
            here.remove()
        raise
    finally:
        os.close(lock)
    standing = here.read()
    if standing is None:
        raise RemoteError("the lab went away as soon as it was up", remedy=f"see `{UP}` again")
    click.echo(welcome(standing, described))
    return 0


def down() -> int:
    """Take the lab down and remove everything of it, also what a crashed keeper left.

    Raises:
        MachineError: something would not go.
    """
    here = place()
    if not here.folder.exists():
        _sweep_host()
        click.echo("no lab is up")
        return 0
    was = here.read()
    lock = session_end.end(here, _say)
    try:
        _sweep_host()
        here.remove()
    finally:
        os.close(lock)
    click.echo(f"the lab {was.lab} is down" if was else "no lab is up")
    return 0


def status() -> int:
    """Say whether a lab is up, and which hosts it has."""
    here = place()
    record = here.read() if here.taken() else None
    if record is None:
        click.echo("no lab is up")
        if words := here.last_words():
            click.echo(f"the last one ended by itself: {words}")
        return 0
    if not record.ready:
        click.echo(f"the lab {record.lab} is being put up ({record.file})")
        return 0
    click.echo(f"the lab {record.lab} is up ({record.file})")
    click.echo(f"  rig: {record.rig}, clock: {record.clock}")
    click.echo(f"  hosts: {' '.join(record.hosts)}")
    if record.trouble:
        click.echo(f"  trouble: {record.trouble}")
    return 0


def execute(host: str, argv: Sequence[str]) -> int:
    """Run a command in a host of the running lab; its exit status.

    Raises:
        LocalError: no lab is up, or it has no such host.
        RemoteError: the lab went away.
    """
    here = place()
    record = here.read() if here.taken() else None
    if record is None:
        words = here.last_words()
        raise LocalError(
            "no lab is up" + (f"; the last one ended by itself: {words}" if words else ""),
            remedy=UP,
        )
    if not record.ready:
        raise LocalError(f"the lab {record.lab} is still being put up", remedy="wait for it")
    session_exec.check_host(record, host)
    if record.rig == "host":
        return session_exec.on_host(record, host, argv)
    return session_exec.in_guest(here, record, host, argv)


def welcome(record: Record, described: scenario.Scenario) -> str:
    """What to do with a lab that is up."""
    floor = scenario.is_floor(described)
    domain = described.domain_of(described.movement.start)
    address = domain.static_address if floor else described.mn.home_address
    examples = (("mn", "iw dev wlan0 link"), ("cn", f"ping -c 3 {address}"))
    lines = [f"the lab {record.lab} is up", f"  hosts: {' '.join(record.hosts)}"]
    lines += [f"  try: mpa-hil lab exec {host} -- {command}" for host, command in examples]
    if record.clock == "virtual":
        lines.append("  the virtual clock skips idle time: hours pass while you type")
    return "\n".join([*lines, f"  end: {DOWN}"])


def _occupied(here: Place) -> LocalError:
    record = here.read()
    what = "a lab is being put up or taken down"
    if record is not None and record.ready:
        what = f"the lab {record.lab} is up"
    return LocalError(f"{what}, and there can be one at a time", remedy=DOWN)


def _with_choice(record: Record, choice: Choice) -> Record:
    return msgspec.structs.replace(
        record,
        rig=choice.rig,
        clock=choice.clock,
        accelerator=choice.accelerator.name if choice.accelerator else "",
    )


def _prepare(here: Place, record: Record, described: scenario.Scenario) -> Record:
    """Everything that the keeper will find: the image, the request, and the record (returned)."""
    in_guest = record.rig == "guest"
    if in_guest:
        from rigs.guest import image

        from .preflight import check_image_space

        check_image_space()
        image.ensure(_say)
    pem = {key: path.read_bytes() for key, path in scenario.certificate_files(described).items()}
    request = Request(described, record.lab_id, END_FILE if in_guest else "", pem)
    if pem:
        from .guest_job import epoch

        record = msgspec.structs.replace(record, epoch=epoch(pem))
    here.request.touch(0o600)
    here.request.write_bytes(request.to_json())
    here.write(record)
    return record


def _start(here: Place, record: Record, lock: int) -> None:
    """Start the keeper, and show what it says until the lab is up.

    Raises:
        MpaError: what kept the lab from coming up.
    """
    _say("starting the guest" if record.rig == "guest" else "building the lab")
    with here.log.open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", KEEPER, str(here.folder), str(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **environment()},
            cwd="/",
            start_new_session=True,
            pass_fds=(lock,),
        )
    try:
        _follow(keeper)
    except BaseException:
        _stop(keeper)
        raise
    # It is on its own from here on, and not to be waited for.
    keeper.returncode = 0


def _follow(keeper: subprocess.Popen[bytes]) -> None:
    assert keeper.stdout is not None
    for line in keeper.stdout:
        message = json.loads(line)
        match message["type"]:
            case "progress":
                _say(message["text"])
            case "ready":
                return
            case "failed":
                raise session_keeper.failure(message)
    raise RemoteError(
        f"the lab's keeper ended early, with status {keeper.wait()}",
        remedy=f"it was told to, by `{DOWN}` say; otherwise this is a defect of mpa-hil",
    )


def _stop(keeper: subprocess.Popen[bytes]) -> None:
    """End a keeper whose lab did not come up; a second Ctrl-C ends it at once."""
    try:
        keeper.terminate()
        keeper.wait(session_end.DOWN_BOUND_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        keeper.kill()
        keeper.wait()


def _sweep_host() -> None:
    """Take away what a lab on this machine itself left; an ordinary user cannot have had one."""
    if os.geteuid() == 0:
        from rigs import sweep

        sweep.sweep(LAB_ID)


def _say(text: str) -> None:
    click.echo(text, err=True)
