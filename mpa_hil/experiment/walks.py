"""Many walks on one standing lab: `python3 -m mpa_hil.experiment.walks FILE`.

Each walk is a whole run in which a policy decides: fresh daemons, attachment, traffic, the way,
what it left. Between two walks nothing changes but the seed, from which shadows and fading come,
and the policy. FILE is JSON (`Order`). Where a walk ends its lab (a daemon died), the next one gets
a new one.

What is left below the output folder is laid out as in `mpa_hil.experiment.collect`; `runs/001` is
the first walk of the order.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mpa_hil.experiment.collect import Request, describe, note_failure, run_job
from mpa_hil.experiment.conduct import conduct
from mpa_hil.experiment.plan import POLICY, RunSpec
from mpa_hil.experiment.shared import change
from mpa_hil.lab.builder import Lab, standing_lab
from mpa_hil.scenario import PolicyChoice, Scenario
from radios.errors import MpaError

Say = Callable[[str], None]


class Walk(msgspec.Struct, frozen=True):
    """One walk of an order."""

    seed: int
    choice: PolicyChoice

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.choice.name}"


@dataclass(frozen=True, slots=True)
class Order:
    """What to walk.

    Attributes:
        lab: with the lab of all walks; its seed and its policy are not used.
    """

    lab: Request
    walks: tuple[Walk, ...]

    def to_json(self) -> bytes:
        """For the guest; secrets of the lab file included."""
        return b'{"lab":%b,"walks":%b}' % (self.lab.to_json(), msgspec.json.encode(self.walks))

    @classmethod
    def from_json(cls, data: bytes) -> Order:
        """What `to_json` wrote."""
        told = json.loads(data)
        lab = Request.from_json(json.dumps(told["lab"]).encode())
        return cls(lab, msgspec.convert(told["walks"], tuple[Walk, ...]))

    def scenario(self, walk: Walk) -> Scenario:
        """The lab of one walk."""
        return seeded(self.lab.scenario, walk)


def seeded(described: Scenario, walk: Walk) -> Scenario:
    """The lab with the seed and the policy of a walk."""
    lab = msgspec.structs.replace(described.lab, seed=walk.seed)
    return msgspec.structs.replace(described, lab=lab, policy=walk.choice)


async def walk_all(order: Order, out: Path, say: Say) -> None:
    """Take every walk.

    Raises:
        MpaError: no lab could be built; `failure.json` has it too.
    """
    os.makedirs(out, exist_ok=True)
    events: list[bytes] = []
    number = 0
    try:
        while number < len(order.walks):
            first = order.scenario(order.walks[number])
            asked = order.lab
            async with standing_lab(
                first, asked.lab_id, say, pem=asked.pem, preauthentication=True
            ) as lab:
                if not number:
                    await describe(asked, lab, out)
                number = await _some(order, number, lab, out, say)
            events += lab.events
    except MpaError as error:
        note_failure(error, out)
        raise
    finally:
        (out / "events.jsonl").write_bytes(b"".join(events))


async def _some(order: Order, number: int, lab: Lab, out: Path, say: Say) -> int:
    """Walk from walk `number`, counted from 0, until the last or until the lab ends; how far."""
    for walk in order.walks[number:]:
        number += 1
        say(f"walk {number} of {len(order.walks)}: {walk}")
        change(lab, order.scenario(walk))
        spec = RunSpec(POLICY, POLICY, walk.seed, False)
        try:
            failure = await conduct(lab, spec, out / f"runs/{number:03}", None)
        except MpaError as error:
            say(f"walk {number} ended its lab: {error}")
            return number
        if failure:
            say(f"walk {number} failed: {failure}")
    return number


async def _walk_all(asked: bytes, out: Path, say: Say) -> None:
    await walk_all(Order.from_json(asked), out, say)


if __name__ == "__main__":
    sys.exit(run_job(_walk_all))
