"""Prints the generated part of docs/pana.md: `python -m mpa_hil.pana.diagrams`."""

from __future__ import annotations

from .paa_table import PAA_TABLE
from .pac_table import PAC_TABLE
from .transitions import diagram_text, table_text


def page_part() -> str:
    """Both state machines, drawn and in full, as the code runs them."""
    parts = []
    for name, drawn, whole in (
        ("PaC", diagram_text(PAC_TABLE), table_text(PAC_TABLE)),
        ("PAA", diagram_text(PAA_TABLE), table_text(PAA_TABLE)),
    ):
        parts.append(f"### {name}\n\n```mermaid\n{drawn}```\n\n{whole}")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page_part(), end="")
