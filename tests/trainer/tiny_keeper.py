"""A keeper of a stage of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_training import Training

from trainer.keeper import Keeper
from trainer.runs.distributed import World
from trainer.runs.folder import RunFolder


def keep(path: Path, one: Training, **options: Any) -> Keeper:
    """Keep a stage of 25 steps with two validations, or as the options say."""
    path.mkdir(exist_ok=True)
    settings = {"n_steps": 25, "validations": 2, "loaders": {"source": "a"}} | options
    return Keeper(
        run=RunFolder(path), stage="test", state=one.state, world=World(), card={"tags": ["x"]},
        **settings,
    )  # fmt: skip
