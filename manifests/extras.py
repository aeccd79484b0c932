"""Optional dependencies: what to type where an extra is missing."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """Return how to install an extra: from a clone, as no package index has this distribution."""
    return f"install the extra: pip install -e '.[{extra}]' in the clone of robust-tagger"
