"""Stop a run at a step, as a kill would but for the open files."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from trainer.keeper import Keeper


class KilledError(BaseException):
    """Stands for kill -9: nothing catches it."""


def interrupt(monkeypatch: pytest.MonkeyPatch, stage: str, step: int) -> None:
    """Die in a step of a stage, before it is logged or saved."""
    real = Keeper.stepped

    def stepped(self: Keeper, at: int, figures: Mapping[str, torch.Tensor | float]) -> None:
        if (self.stage, at) == (stage, step):
            raise KilledError
        real(self, at, figures)

    monkeypatch.setattr(Keeper, "stepped", stepped)
