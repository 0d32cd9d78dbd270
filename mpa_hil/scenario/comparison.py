"""What `mpa-hil compare` puts side by side, as a lab file says it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Column(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One column: a scheme on this lab with some values changed."""

    name: Annotated[str, Meta(description="letters, digits, - and _; names the column's folder")]
    title: Annotated[str, Meta(description="heading of the column")]
    scheme: Annotated[str, Meta(description="scheme that is run")]
    set: Annotated[
        tuple[str, ...],
        Meta(description="`key.path=value`: changes to this lab file, as `--set` has them"),
    ] = ()
    reference: Annotated[
        tuple[str, ...],
        Meta(description="`figure=number`: published figures to print beside the measured ones"),
    ] = ()


class Check(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must hold of a column: figure(column) <= at_most * figure(of) + plus; or, of each run,
    figure(column) <= plus, or at_least <= figure(column)."""

    figure: Annotated[str, Meta(description="which figure")]
    column: Annotated[str, Meta(description="column that is bounded")]
    of: Annotated[
        str, Meta(description="column that it is measured against; left out: `plus` is the bound")
    ] = ""
    at_most: Annotated[float, Meta(description="factor on the other column's figure", gt=0)] = 1.0
    plus: Annotated[float, Meta(description="added to it, in the figure's unit", ge=0)] = 0.0
    at_least: Annotated[
        float, Meta(description="given and not 0: what no run may be below; the only bound", ge=0)
    ] = 0.0


class Compare(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"columns": "column", "checks": "check"},
):
    """A comparison of schemes, or of one scheme under several conditions."""

    title: Annotated[str, Meta(description="heading of the table")]
    source: Annotated[str, Meta(description="where the reference figures come from")] = ""
    repeat: Annotated[
        int, Meta(description="runs of each column unless --repeat says otherwise", ge=1)
    ] = 3
    figures: Annotated[
        tuple[str, ...], Meta(description="rows of the table: docs/compare.md lists them")
    ]
    columns: Annotated[tuple[Column, ...], Meta(description="columns, at least one")]
    checks: Annotated[
        tuple[Check, ...], Meta(description="what must hold, or the comparison fails")
    ] = ()
