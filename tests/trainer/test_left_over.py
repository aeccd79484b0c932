"""A pass that leaves more than a step unused is warned of, once and before training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_refs import fake_refs

from trainer import preflight
from trainer.compute import Compute
from trainer.config import SystemConfig, TrainConfig
from trainer.data import Loader, LoaderConfig, Part
from trainer.data.reading import UNLABELLED_CLEAN
from trainer.roles import open_roles
from trainer.runs.distributed import World


def loader(songs: list[int], batch_size: int) -> Loader:
    part = Part("train/source", tuple(fake_refs(songs)), UNLABELLED_CLEAN, (0.0,), ())
    return Loader([part], LoaderConfig(batch_size=batch_size))


@pytest.mark.parametrize(
    ("songs", "batch_size", "said"),
    [
        ([0] * 10 + [1, 2], 2, "a pass uses 4 of 12 examples, as no step of 2 holds two"),
        ([0] * 10 + [1, 2], 1, ""),
        (list(range(13)), 5, ""),
    ],
)
def test_uneven_songs_are_warned_of(
    caplog: pytest.LogCaptureFixture, songs: list[int], batch_size: int, said: str
) -> None:
    for world in (World(), World(1, 2)):
        preflight._say_left_over([loader(songs, batch_size)], world)
    assert caplog.text.count("train/source: a pass uses") == bool(said)
    assert said in caplog.text


def test_the_warning_comes_before_training(
    suite: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(TrainConfig(method="supervised"))
    config = replace(config, tagger=replace(config.tagger, batch_size=3))
    monkeypatch.setattr(Loader, "steps_per_epoch", 1)
    compute = Compute(torch.device("cpu"), World(), SystemConfig(workers=0))
    preflight.check_run(config, open_roles(str(suite)), compute, {3})
    for half in ("source", "target"):
        assert f"train/{half}: a pass uses 3 of 8 examples" in caplog.text
