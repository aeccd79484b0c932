"""Stage 2: what it hears, and how its classifier is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from tiny_suite import RUNGS_DB
from torch import nn

from trainer.compute import Compute
from trainer.config import DomainConfig, SystemConfig, TrainConfig
from trainer.roles import open_roles
from trainer.runs.distributed import World
from trainer.stage2_domain import DomainValidation, domain_accuracy, domain_parts, new_classifier

ON_CPU = Compute(torch.device("cpu"), World(), SystemConfig(workers=0))


def test_accuracy_is_balanced() -> None:
    rng = np.random.default_rng(5)
    for n_source, n_target in ((3, 9), (6, 6), (1, 4)):
        logits = rng.standard_normal(n_source + n_target).astype(np.float32)
        truth = np.array([False] * n_source + [True] * n_target)
        found = float(domain_accuracy(torch.from_numpy(logits), n_source))
        assert found == pytest.approx(balanced_accuracy_score(truth, logits >= 0), abs=1e-6)


def test_halves_are_read_without_tags(suite: Path) -> None:
    parts = domain_parts(open_roles(str(suite)), TrainConfig())
    source, target = parts["source"][0], parts["target"][0]
    assert not any(ref.tags for ref in (*source.refs, *target.refs))
    assert {m.name for ref in source.refs for m in ref.members} == {"clean"}
    noisy = {m.name for ref in target.refs for m in ref.members}
    assert noisy == {f"noisy.snr_{snr:g}" for snr in RUNGS_DB}


def test_the_classifier_is_what_the_config_says() -> None:
    classifier = new_classifier(15, DomainConfig(hidden=(8, 4), dropout=0.2))
    sizes = [
        (m.in_features, m.out_features) for m in classifier.modules() if isinstance(m, nn.Linear)
    ]
    assert sizes == [(15, 8), (8, 4), (4, 1)]
    assert sum(isinstance(m, nn.Dropout) for m in classifier.modules()) == 2
    assert sum(isinstance(m, nn.BatchNorm1d) for m in classifier.modules()) == 2
    plain = new_classifier(15, DomainConfig(dropout=0.5, batchnorm=False))
    assert not any(isinstance(m, nn.BatchNorm1d) for m in plain.modules())


class Roughness(nn.Module):
    """How much of the power lies in sample-to-sample change: white noise has more than chords."""

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        change = audio.diff(dim=2).square().mean(dim=(1, 2))
        return (change / audio.square().mean(dim=(1, 2)))[:, None]


class Threshold(nn.Module):
    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h[:, 0] - 0.05


class Swapped(Threshold):
    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return -super().forward(h)


def test_validation_measures_each_rung(suite: Path) -> None:
    roles = open_roles(str(suite))
    config = TrainConfig(domain=DomainConfig(batch_size=4))
    encoder, classifier = Roughness(), Threshold()
    found = DomainValidation(roles, config, ON_CPU)(
        encoder, classifier, lambda audio: audio, torch.device("cpu")  # type: ignore[arg-type]
    )  # fmt: skip
    rungs = [found[f"accuracy_snr_{snr:g}"] for snr in RUNGS_DB]
    assert found["accuracy"] == pytest.approx(np.mean(rungs))
    assert rungs[-1] == 1.0, "at -10 dB noise is easy to notice"
    assert encoder.training and classifier.training
    swapped = DomainValidation(roles, config, ON_CPU)(
        encoder, Swapped(), lambda audio: audio, torch.device("cpu")  # type: ignore[arg-type]
    )  # fmt: skip
    assert swapped["accuracy_snr_-10"] == 0.0


def test_a_batch_larger_than_the_set_takes_what_there_is(suite: Path) -> None:
    config = replace(TrainConfig(), domain=DomainConfig(batch_size=500))
    DomainValidation(open_roles(str(suite)), config, ON_CPU)
