"""Prints the generated part of docs/handover.md: `python -m mpa_hil.handover.diagrams`."""

from __future__ import annotations

from mpa_hil.pana.transitions import diagram_text, table_text

from .states import TABLE


def page_part() -> str:
    """The state machine, drawn and in full, as the code runs it."""
    drawn = diagram_text(TABLE).replace("[*] --> INITIAL", "[*] --> AT_OLD")
    return f"```mermaid\n{drawn}```\n\n{table_text(TABLE)}"


if __name__ == "__main__":
    print(page_part(), end="")
