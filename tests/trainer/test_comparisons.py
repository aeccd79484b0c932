"""The comparisons in parts: what each reads, and its losses. test_train_methods runs them whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trainer.adabn import average_from_here
from trainer.comparisons import comparison_losses, comparison_parts, readings
from trainer.config import METHODS, TagConfig, TrainConfig
from trainer.data import Batch, ViewBatch
from trainer.models.heads import LabelPredictor
from trainer.roles import open_roles

PAIRS = TagConfig(consistency="embedding", pairs="all")
SOURCE_PAIRS = TagConfig(consistency="embedding")
TABLE = {
    "baseline": (TagConfig(), {"source": (["clean"], True)}),
    "adabn": (TagConfig(), {"source": (["clean"], True)}),
    "supervised": (TagConfig(), {"source": (["clean"], True), "target": (["noisy"], True)}),
    "full-clean": (TagConfig(), {"source": (["clean"], True), "target": (["clean"], True)}),
    "labelled-noise": (TagConfig(), {"source": (["either"], True)}),
    "consistency": (SOURCE_PAIRS, {"source": (["clean", "noisy"], True)}),
    "robust": (
        PAIRS,
        {"source": (["clean", "noisy"], True), "target": (["clean", "noisy"], False)},
    ),
}


@pytest.mark.parametrize("method", TABLE)
def test_the_table_of_readings(method: str, suite: Path) -> None:
    tagger, expected = TABLE[method]
    config = TrainConfig(method=method, tagger=tagger)  # type: ignore[arg-type]
    found = {
        half: ([view.value for view in reading.views], reading.tags)
        for half, reading in readings(config).items()
    }
    assert found == expected
    parts = comparison_parts(open_roles(str(suite)), config)
    assert parts.keys() == expected.keys()
    assert {ref.domain for half in parts.values() for part in half for ref in part.refs} == {*parts}


def test_a_target_half_that_no_loss_uses_is_not_opened() -> None:
    tagger = replace(PAIRS, consistency="none", labelled_noise=True)
    for method in ("robust", "consistency"):
        config = TrainConfig(method=method, tagger=tagger)  # type: ignore[arg-type]
        assert readings(config).keys() == {"source"}


def test_options_of_other_methods_change_no_reading() -> None:
    """A config that says consistency does not turn a baseline into something else."""
    for method in ("baseline", "adabn", "full-clean", "supervised", "labelled-noise"):
        plain = TrainConfig(method=method)  # type: ignore[arg-type]
        assert readings(plain) == readings(replace(plain, tagger=PAIRS))
    assert set(TABLE) | {"dat", "noisy-student"} == set(METHODS)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(5, 8), list[int]()

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(audio))
        return torch.relu(self.layer(audio[:, 0]))


@pytest.fixture
def nets() -> tuple[Encoder, LabelPredictor]:
    torch.manual_seed(0)
    return Encoder(), LabelPredictor(8, 3)


def audio(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 1, 5, generator=torch.Generator().manual_seed(seed))


def tags(n: int) -> torch.Tensor:
    return (torch.rand(n, 3, generator=torch.Generator().manual_seed(9)) > 0.5).float()


def test_two_labelled_halves_weigh_the_same(nets: tuple[Encoder, LabelPredictor]) -> None:
    encoder, predictor = nets
    a, b, ya, yb = audio(4, 1), audio(6, 2), tags(4), tags(6)
    found = comparison_losses(encoder, predictor, [(a,), (b,)], [ya, yb], TagConfig())
    bce = F.binary_cross_entropy_with_logits
    expected = (bce(predictor(encoder(a)), ya) + bce(predictor(encoder(b)), yb)) / 2
    torch.testing.assert_close(found["loss"], expected)
    assert encoder.calls[0] == 10, "one concatenated forward"
    assert found.keys() == {"tag", "loss"}


@pytest.mark.parametrize("labelled_noise", [False, True])
@pytest.mark.parametrize("form", ["embedding", "prediction"])
def test_pairs_of_both_halves(
    nets: tuple[Encoder, LabelPredictor], form: str, labelled_noise: bool
) -> None:
    encoder, predictor = nets
    config = TagConfig(
        consistency=form,  # type: ignore[arg-type]
        consistency_weight=0.4, labelled_noise=labelled_noise, pairs="all",
    )  # fmt: skip
    source, target, y = (audio(4, 1), audio(4, 2)), (audio(3, 3), audio(3, 4)), tags(4)
    found = comparison_losses(encoder, predictor, [source, target], [y, None], config)
    distances = []
    for clean, noisy in (source, target):
        h = encoder(clean), encoder(noisy)
        if form == "embedding":
            distances.append(1 - F.cosine_similarity(*h).mean())
        else:
            p, q = (predictor(x).sigmoid() for x in h)
            kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
            distances.append(kl.mean())
    bce = F.binary_cross_entropy_with_logits
    expected = bce(predictor(encoder(source[0])), y) + 0.4 * sum(distances) / 2
    if labelled_noise:
        expected = expected + bce(predictor(encoder(source[1])), y)
    torch.testing.assert_close(found["loss"], expected)
    assert ("tag_noisy" in found) == labelled_noise


def test_crops_that_are_heard() -> None:
    view = ViewBatch(audio(4, 1), torch.zeros(4).bool(), torch.zeros(4))
    keys = ("a", "b", "c", "d")
    one, two = (Batch((view,) * n, None, keys, keys, 0, 0, True) for n in (1, 2))
    assert (one.n_crops, two.n_crops) == (4, 8)


def test_adabn_takes_the_plain_mean_over_batches() -> None:
    """Running statistics end as the mean of the batches' own, whatever they were before."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(4)
    norm(torch.randn(10, 4) * 100)
    weight = norm.weight.clone()
    batches = [torch.randn(8, 4) * (n + 1) + n for n in range(5)]
    average_from_here(norm, forget=True)
    for x in batches[:2]:
        norm(x)
    average_from_here(norm, forget=False)  # as a resumed run does
    for x in batches[2:]:
        norm(x)
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in batches]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(0) for x in batches]).mean(0))
    assert torch.equal(norm.weight, weight)
