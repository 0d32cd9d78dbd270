"""Makes `report.html` of a run's folder."""

from __future__ import annotations

import re
from pathlib import Path

from mpa_hil import scenario as labs
from mpa_hil.evaluation.output import replacing
from mpa_hil.report.html.data import traces
from mpa_hil.report.html.page import Contents, page
from mpa_hil.report.summary import Summary
from mpa_hil.scenario import Scenario
from radios.errors import MpaError

REPORT = "report.html"
LAB = "lab.toml"
_SECRET = re.compile(r"^(\s*(?:key|psk|radius_secret)\s*=).*$", re.MULTILINE)


def write(folder: Path, summary: Summary) -> Path:
    """Write the page of a run, from its summary and what lies beside that.

    Whatever is missing or broken in the folder costs no more than what it was to show; the page
    says so.

    Returns:
        Where it is.

    Raises:
        MachineError: it cannot be written.
    """
    notes: list[str] = []
    described, text = _lab(folder / LAB, notes)
    made = page(
        Contents(
            summary=summary,
            traces=traces(folder, summary, notes),
            scenario=described,
            lab=text,
            files=sorted(path.name for path in folder.iterdir() if path.name != REPORT),
            notes=notes,
        )
    )
    with replacing(folder / REPORT) as out:
        out.write(made.encode("utf-8", "replace"))
    return folder / REPORT


def _lab(path: Path, notes: list[str]) -> tuple[Scenario | None, str]:
    """The lab file, and its text as the page shows it: without secrets, though it may have some."""
    if not path.is_file():
        return None, ""
    try:
        described = labs.load(path, ())
        return described, labs.to_toml(described, secrets=False)
    except MpaError as error:
        notes.append(f"{path.name} cannot be used ({error.what}): boxes have their own names")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None, ""
    return None, _SECRET.sub(r"\1 (left out)", text)
