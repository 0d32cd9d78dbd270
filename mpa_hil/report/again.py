"""A run's tables and its page, made again from its folder."""

from __future__ import annotations

import sys
from pathlib import Path

from mpa_hil.report import html, tables
from mpa_hil.report.summary import decode, encode
from radios.errors import LocalError

SUMMARY = "summary.json"
COMPARISON = "compare.json"


def again(folder: Path, *, as_json: bool = False) -> int:
    """Print the tables of a run and write its `report.html`.

    Returns:
        0: the report was made, whatever it reports.

    Raises:
        LocalError: the folder has no summary.
        RemoteError: its summary is none.
        MachineError: the page cannot be written.
    """
    path = folder / SUMMARY
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LocalError(
            f"cannot read the run's summary: {error.strerror}",
            where=str(path),
            remedy=_remedy(folder),
        ) from error
    summary = decode(data, str(path))
    if as_json:
        sys.stdout.write(encode(summary).decode())
    else:
        tables.render(summary, sys.stdout)
    sys.stdout.flush()
    page = html.write(folder, summary)
    if not as_json:
        print(f"\nTo look at: {page}", flush=True)
    return 0


def _remedy(folder: Path) -> str:
    """What to give instead: a comparison's folder has a run's folder for each column."""
    if (folder / COMPARISON).is_file():
        columns = sorted(entry.parent.name for entry in folder.glob(f"*/{SUMMARY}"))
        return f"this is a comparison: give one of its columns, {', '.join(columns)}"
    return "give the folder that mpa-hil run named at its end"
