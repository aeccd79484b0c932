"""What the options of a stage are called, for messages that say what to change."""

from __future__ import annotations

from typing import Final

_PREFIXES: Final = {"encoder": "encoder-", "domain": "classifier-", "pooling": "pooling-"}
"""Stages with options of their own."""


def stage_option(stage: str, field: str) -> str:
    """Return an option of a stage by its name in the log, e.g. ``--encoder-lr``."""
    return f"--{_PREFIXES.get(stage, '')}{field}"
