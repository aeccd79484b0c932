"""Markdown of the cards, from names that others chose: no markup of theirs, no line ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.frozen.untrusted import printable


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a Markdown table."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(cell(value) for value in row)} |" for row in rows),
    ]


def cell(value: object) -> str:
    """Return a text as it may stand in a table: one line, no markup, not endless."""
    return escaped(printable(value))


def escaped(text: str) -> str:
    """Return a printable text so that Markdown shows it as it is."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")
    return text.replace("[", "&#91;").replace("`", "&#96;")
