"""Stages say when validation takes much of their time, and which of their options helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_keeper import keep
from tiny_training import OPTIMIZERS, Training

from trainer import keeper


@pytest.fixture
def one() -> Training:
    return Training(OPTIMIZERS["adam"])


def test_slow_validation_is_warned_of(
    tmp_path: Path, one: Training, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    for name, taken_s in (("a", 10.0), ("b", 90.0)):
        with keep(tmp_path / name, one, n_steps=1).open() as kept:
            now[0] += 200.0
            with kept.validation(1):
                now[0] += taken_s
    assert caplog.text.count("validation takes") == 1
    assert "test: validation takes 31 % of the time; ask for fewer --validations" in caplog.text


@pytest.mark.parametrize(
    ("stage", "advice"),
    [
        ("encoder", "ask for fewer --encoder-validations, or give it --workers"),
        ("domain", "ask for fewer --classifier-validations, or give it --workers"),
        ("pooling", "ask for fewer --pooling-validations or a --valid-limit, or give it --workers"),
        ("dat", "ask for fewer --validations or a --valid-limit, or give it --workers"),
    ],
)
def test_a_stage_with_slow_validation_names_its_own_options(
    tmp_path: Path, one: Training, monkeypatch: pytest.MonkeyPatch, caplog: Any,
    stage: str, advice: str,
) -> None:  # fmt: skip
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    kept = keep(tmp_path, one, n_steps=1)
    kept.stage = stage
    with kept.open(), kept.validation(1):
        now[0] += 100.0
    assert advice in caplog.text


def test_validation_that_will_be_slow_is_warned_of_at_once(
    tmp_path: Path, one: Training, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Ten of them are to come, of ten seconds each: the first one tells."""
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    for n_validations, times in ((4, 0), (10, 1)):
        run = tmp_path / str(n_validations)
        with keep(run, one, n_steps=100, validations=n_validations).open() as kept:
            for step in (10, 20):
                now[0] += 30.0
                with kept.validation(step):
                    now[0] += 10.0
            assert caplog.text.count("validation takes 25 % of the time") == times
