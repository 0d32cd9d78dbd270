"""Makes `report.html` of a run's folder."""

from __future__ import annotations

import re
from pathlib import Path

from mpa_hil import scenario as labs
from mpa_hil.evaluation.output import replacing
from mpa_hil.report.html.choice import traces
from mpa_hil.report.html.page import Contents, page
from mpa_hil.report.summary import Summary
from mpa_hil.scenario import Scenario
from radios.errors import MpaError

REPORT = "report.html"
LAB = "lab.toml"
_SECRET = re.compile(
    r"""^(\s*(?:psk|radius_secret|key(?=\s*=\s*['"][0-9A-Fa-f]{32,}['"]))\s*=).*$""", re.MULTILINE
)
"""A key that is no path of a file, and everything that is a secret by its name."""


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
    """The lab file, and its text as the page shows it."""
    if not path.is_file():
        return None, ""
    try:
        text = without_secrets(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        notes.append(f"{path.name} cannot be read ({error.strerror})")
        return None, ""
    try:
        return labs.load(path, ()), text
    except MpaError as error:
        notes.append(f"{path.name} cannot be used ({error.what}): boxes have their own names")
        return None, text


def without_secrets(text: str) -> str:
    """A lab file's text to be shown around: `capture.keys` has a run keep its secrets there."""
    return _SECRET.sub(r"\1 # a secret", text)
