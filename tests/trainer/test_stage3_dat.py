"""Stage 3 in parts: its losses, its parts, its optimizer. The pitfalls have a file of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_sets import write_set
from tiny_suite import SET
from torch import nn
from torch.nn import functional as F

from manifests.errors import UsageError
from trainer.config import TagConfig, TrainConfig
from trainer.models.heads import DomainClassifier, LabelPredictor
from trainer.roles import open_roles
from trainer.stage3_dat import Networks, dat_losses, dat_parts, refreshes, tagger_optimizer
from trainer.tag_stage import labels_of, learning_rates, tagger_card


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm, self.calls = nn.Linear(5, 8), nn.BatchNorm1d(8), list[int]()

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(audio))
        return torch.relu(self.norm(self.layer(audio[:, 0])))


class Recorder(DomainClassifier):
    """A domain classifier that notes the size of every batch."""

    def __init__(self) -> None:
        super().__init__(8, (4,))
        self.calls = list[int]()

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(embedding))
        return super().forward(embedding)


@pytest.fixture
def nets() -> Networks:
    torch.manual_seed(0)
    return Networks(Encoder(), LabelPredictor(8, 3), Recorder())


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Clean, noisy twin, tags, target."""
    g = torch.Generator().manual_seed(1)
    clean, noise, target = (torch.randn(n, 1, 5, generator=g) for n in (6, 6, 4))
    return clean, clean + noise, (torch.rand(6, 3, generator=g) > 0.5).float(), target


def test_one_concatenated_forward_of_encoder_and_classifier(nets: Networks) -> None:
    """Else each domain would be normalised by its own statistics (pitfall 4)."""
    clean, noisy, tags, target = batch()
    dat_losses(nets, (clean,), tags, target, TagConfig(), 0.1, classifier_learns=False)
    config = TagConfig(consistency="embedding")
    dat_losses(nets, (clean, noisy), tags, target, config, 0.1, classifier_learns=False)
    assert nets.encoder.calls == [10, 16]
    assert nets.domain.calls == [10, 10], "noisy twins of source songs are in neither domain"


@pytest.mark.parametrize("consistency", ["none", "embedding", "prediction"])
@pytest.mark.parametrize("labelled_noise", [False, True])
def test_the_total_is_the_sum_of_its_parts(
    nets: Networks, consistency: str, labelled_noise: bool
) -> None:
    nets.encoder.eval(), nets.domain.eval()
    clean, noisy, tags, target = batch()
    config = TagConfig(
        consistency=consistency,  # type: ignore[arg-type]
        consistency_weight=0.7, labelled_noise=labelled_noise, domain_loss="confusion",
    )  # fmt: skip
    views = (clean, noisy) if config.hears_pairs else (clean,)
    found = dat_losses(nets, views, tags, target, config, 0.3, classifier_learns=False)
    h = {name: nets.encoder(x) for name, x in (("c", clean), ("n", noisy), ("t", target))}
    logits = {name: nets.predictor(value) for name, value in h.items()}
    expected = {"tag": F.binary_cross_entropy_with_logits(logits["c"], tags)}
    total = expected["tag"] + 0.3 * found["domain"]
    if labelled_noise:
        expected["tag_noisy"] = F.binary_cross_entropy_with_logits(logits["n"], tags)
        total = total + expected["tag_noisy"]
    if consistency == "embedding":
        expected["consistency"] = 1 - F.cosine_similarity(h["c"], h["n"]).mean()
    if consistency == "prediction":
        p, q = logits["c"].sigmoid(), logits["n"].sigmoid()
        kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
        expected["consistency"] = kl.mean()
    if consistency != "none":
        total = total + 0.7 * expected["consistency"]
    assert found.keys() == {*expected, "domain", "domain_accuracy", "loss"}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)
    torch.testing.assert_close(found["loss"], total)


def test_a_frozen_classifier_is_not_in_the_optimizer(nets: Networks) -> None:
    config = TagConfig(lr=0.1, encoder_lr_scale=0.5)
    groups = tagger_optimizer(nets, config).param_groups
    assert [group["lr"] for group in groups] == [0.05, 0.1]
    assert learning_rates(config) == {"lr": 0.1, "lr_encoder": 0.05}
    for other in (replace(config, freeze=False), replace(config, refresh_every=5)):
        groups = tagger_optimizer(nets, other).param_groups
        assert [group["lr"] for group in groups] == [0.05, 0.1, 0.1]
        held = {id(p) for p in groups[2]["params"]}
        assert held == {id(p) for p in nets.domain.parameters()}


def test_when_the_classifier_is_refreshed() -> None:
    config = TagConfig(refresh_every=5, refresh_steps=2)
    assert [step for step in range(12) if refreshes(step, config)] == [0, 1, 5, 6, 10, 11]
    assert not any(refreshes(step, TagConfig()) for step in range(12))


def test_what_each_half_reads(suite: Path, tmp_path: Path) -> None:
    roles, config = open_roles(str(suite)), TrainConfig()
    parts = dat_parts(roles, config)
    (source,), (target,) = parts["source"], parts["target"]
    assert all(ref.tags for ref in source.refs) and not any(ref.tags for ref in target.refs)
    assert not any(member.name == "clean" for ref in target.refs for member in ref.members)
    extra = dat_parts(roles, replace(config, extra_target=True))["target"]
    assert [len(part.refs) for part in extra] == [len(target.refs), 6]
    assert not any(member.name == "clean" for ref in extra[1].refs for member in ref.members)
    write_set(str(tmp_path), **{**SET, "n_songs": 4, "halves": False, "snrs_db": ()})
    recordings = open_roles(str(suite), (f"extra-target={tmp_path}",))
    heard = dat_parts(recordings, replace(config, extra_target=True))["target"][1]
    assert {member.name for ref in heard.refs for member in ref.members} == {"audio"}
    without = {role: url for role, url in roles.urls.items() if role != "extra-target"}
    with pytest.raises(UsageError, match="expected a set with the role extra-target"):
        dat_parts(replace(roles, urls=without), replace(config, extra_target=True))
    for options in ({"labelled_noise": True}, {"consistency": "prediction"}):
        pairs = replace(config, tagger=TagConfig(**options))  # type: ignore[arg-type]
        assert len(dat_parts(roles, pairs)["source"][0].reading.views) == 2


def test_the_card_of_a_tagger(suite: Path) -> None:
    roles = open_roles(str(suite))
    card = tagger_card(TrainConfig(method="dat", seed=5), roles, ("a", "b"))
    assert (card["method"], card["seed"], card["tags"]) == ("dat", 5, ["a", "b"])
    assert card["band_hz"] is None


def test_a_labelled_part_has_tags() -> None:
    tags = torch.ones(2, 3)
    assert labels_of(tags) is tags
    with pytest.raises(AssertionError, match="a batch without tags"):
        labels_of(None)
