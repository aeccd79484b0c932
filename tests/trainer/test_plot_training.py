"""Training curves: each figure in its panel, long ones smoothed at their true place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from manifests.errors import UsageError
from trainer.plot_training import has_curves, plot_training


def records(n: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"stage": "domain", "step": 10, "train/loss": 0.7, "train/domain_accuracy": 0.5},
        {"stage": "domain", "step": 20, "train/loss": None, "train/domain_accuracy": 0.9},
    ]
    found += [{"stage": "dat", "step": step, "train/loss": 1 / (1 + step)} for step in range(n)]
    return [*found, {"stage": "dat", "step": n, "valid/auc_snr_-10": 0.6, "valid/auc_clean": 0.9}]


def lines_of(axes: Any) -> dict[str, Sequence[Any]]:
    return {
        line.get_label(): line.get_data()
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }


def test_training_shows_each_figure_in_its_panel() -> None:
    canvas = plot_training(records(5), "dat-run")
    axes = np.array(canvas.axes).reshape(3, 2)
    x, y = lines_of(axes[1, 0])["train domain accuracy"]
    assert (list(x), list(y)) == ([10, 20], [0.5, 0.9])
    x, _ = lines_of(axes[0, 0])["train loss"]
    assert list(x) == [10]  # what was not finite is left out, not drawn as zero
    assert set(lines_of(axes[2, 1])) == {"valid auc, −10 dB", "valid auc clean"}
    assert "chance" in lines_of(axes[1, 0])
    assert not axes[1, 1].axison  # stage dat logged no accuracy here
    assert [a.get_title() for a in axes[0]] == ["Stage domain", "Stage dat"]
    assert axes[0, 0].get_xlabel() == "Training steps"


def test_long_curves_are_smoothed_at_their_true_place() -> None:
    canvas = plot_training(records(400), "x")
    axes = np.array(canvas.axes).reshape(3, 2)
    x, y = lines_of(axes[0, 1])["train loss"]
    assert len(x) == 400 - 20 + 1
    assert x[0] == pytest.approx(np.mean(range(20)))
    assert y[0] == pytest.approx(np.mean([1 / (1 + step) for step in range(20)]))


def test_nothing_to_plot_is_said() -> None:
    bare = [{"stage": "dat", "step": 1, "train/lr": 0.1}]
    assert not has_curves(bare)
    with pytest.raises(UsageError, match="x: expected losses or accuracies"):
        plot_training(bare, "x")
