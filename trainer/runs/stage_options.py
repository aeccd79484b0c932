"""What the options of a stage are called, for messages that say what to change."""

from __future__ import annotations

from typing import Final

PREFIXES: Final = {"encoder": "encoder", "domain": "classifier", "pooling": "pooling"}
"""What the options of stages that have some of their own begin with."""


def stage_option(stage: str, field: str) -> str:
    """Return an option of a stage by its name in the log, e.g. ``--encoder-lr``."""
    return f"--{PREFIXES[stage]}-{field}" if stage in PREFIXES else f"--{field}"
