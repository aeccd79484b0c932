"""Texts from elsewhere on a terminal."""

from __future__ import annotations


def visible(text: str) -> str:
    """Return a text as one line, control characters as escapes: file names may hold any."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
