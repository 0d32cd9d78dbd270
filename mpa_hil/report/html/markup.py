"""HTML and SVG elements from names, attributes and children; all text is escaped. Pure.

What it makes is well-formed XML too, so that any XML parser can check it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_VOID = frozenset({"br", "circle", "hr", "line", "link", "meta", "path", "rect", "use"})
"""Elements without contents, written ``<br/>``: for these HTML and SVG both allow it."""
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 allows in no form."""
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "&#13;"}
)


class Markup(str):
    """Text that is markup already and is put in as it is."""

    __slots__ = ()


Child = Markup | str | int | None | Iterable["Child"]
Value = str | int | float | bool | None


def escape(text: str) -> Markup:
    """Text for any place in a document, attributes included; forbidden characters become U+FFFD."""
    return Markup(_FORBIDDEN.sub("�", text).translate(_ESCAPES))


def number(value: float) -> str:
    """A coordinate: two decimals at most, none that says nothing."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def el(
    name: str, attributes: Mapping[str, Value] | None = None, /, *children: Child, **more: Value
) -> Markup:
    """One element.

    Args:
        name: of the element.
        attributes: those whose names are no Python names.
        children: text is escaped, markup is not; None is left out, a list is taken apart.
        more: further attributes; an underline stands for a hyphen, one at the end for nothing.
            None and False leave an attribute out, True gives it no value of its own.
    """
    parts = [f"<{name}"]
    for key, value in (attributes or {}).items():
        parts.append(_attribute(key, value))
    for key, value in more.items():
        parts.append(_attribute(key.rstrip("_").replace("_", "-"), value))
    inner = join(children)
    if not inner and name in _VOID:
        return Markup("".join((*parts, "/>")))
    return Markup("".join((*parts, ">", inner, f"</{name}>")))


def join(children: Iterable[Child]) -> Markup:
    """Children one after another."""
    return Markup("".join(map(_child, children)))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escape(child)
    if isinstance(child, int):
        return str(child)
    return join(child)


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f' {key}="{key}"'
    shown = number(value) if isinstance(value, int | float) else escape(value)
    return f' {key}="{shown}"'
