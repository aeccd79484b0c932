"""Checks of the pitfalls of METHOD.md section 4, each an assertion that a planted fault fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_networks import batch, flat, gradients, losses_of, networks
from tiny_sets import TAGS, write_set
from tiny_suite import DAT, run_well, values, weights
from torch import nn

from manifests.rows import CHUNK_SAMPLES
from manifests.shardset import load_set
from trainer.config import TagConfig
from trainer.data import load_refs
from trainer.models.freeze import freeze
from trainer.stage3_dat import Networks, tagger_optimizer
from trainer.validation import TagValidation

FEW = ("--validations", "1", "--valid-limit", "2")


def check_reversal() -> None:
    """The encoder takes the domain loss' gradient times -λα, the classifier (if it learns) times 1.

    The oracle takes the gradients of the plain losses, without any reversal in the graph.
    """
    nets, weight = networks(), 0.3
    found = gradients(nets, losses_of(nets, TagConfig(freeze=False), weight, learns=True)["loss"])
    source, tags, target = batch()
    h = nets.encoder(torch.cat([source, target]))
    cross_entropy = nn.functional.binary_cross_entropy_with_logits
    tag = cross_entropy(nets.predictor(h[:12]), tags)
    logits = nets.domain(h)
    domain = cross_entropy(logits[:12], torch.zeros(12)) + cross_entropy(
        logits[12:], torch.ones(12)
    )
    of_tag, of_domain = gradients(nets, tag), gradients(nets, domain)
    torch.testing.assert_close(
        flat(found["encoder"]), flat(of_tag["encoder"]) - weight * flat(of_domain["encoder"])
    )
    torch.testing.assert_close(flat(found["domain"]), flat(of_domain["domain"]))
    torch.testing.assert_close(flat(found["predictor"]), flat(of_tag["predictor"]))


def train_against(weight_of: Callable[[int], float], n_steps: int = 60) -> tuple[Networks, float]:
    """Train against a frozen classifier that knew the domains; return its accuracy at the end."""
    nets, config = networks(), TagConfig(lr=0.01)
    knows = torch.optim.Adam(nets.domain.parameters(), lr=0.05)
    for _ in range(60):
        source, _, target = batch()
        with torch.no_grad():
            h = nets.encoder(torch.cat([source, target]))
        logits = nets.domain(h)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, torch.tensor([0.0] * 12 + [1.0] * 12)
        )
        knows.zero_grad()
        loss.backward()
        knows.step()
    freeze(nets.domain)
    optimizer = tagger_optimizer(nets, config)
    for step in range(n_steps):
        losses = losses_of(nets, config, weight_of(step))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    return nets, float(losses_of(nets, config, 0.0)["domain_accuracy"])


def check_adversary_fools() -> None:
    """From 1.0 the frozen classifier's accuracy falls; a wrong sign or no reversal keeps it."""
    assert train_against(lambda _: 0.0, n_steps=1)[1] > 0.9, "it knew the domains"
    assert train_against(lambda _: 1.0)[1] < 0.6


def check_alpha_ramps(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """λα starts at 0 and follows 2/(1 + exp(-10 p)) - 1 from step to step."""
    out = tmp_path / "run"
    shutil.rmtree(out, ignore_errors=True)
    run_well("dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, "--lambda", "0.2")
    expected = [0.2 * (2 / (1 + np.exp(-10 * step / 4)) - 1) for step in range(4)]
    means = [np.mean(expected[:2]), np.mean(expected[2:])]
    np.testing.assert_allclose(values(out, "train/lambda_alpha"), means, rtol=1e-6)


def check_frozen_stays(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """Stage 2 leaves the encoder as it is, buffers too; stage 3 the classifier."""
    out = tmp_path / "run"
    shutil.rmtree(out, ignore_errors=True)
    run_well("dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, *FEW)
    pretrained = weights(dat_run / "encoder" / "checkpoints" / "best")
    domain = weights(out / "domain" / "checkpoints" / "last")
    for name, value in pretrained.items():
        if name.startswith("encoder/"):
            assert torch.equal(domain[name], value), name
    before, after = weights(out / "domain/checkpoints/best"), weights(out / "checkpoints/last")
    for name, value in before.items():
        if name.startswith("domain/"):
            assert torch.equal(after[name], value), name
    assert not torch.equal(
        after["encoder/first.norm.running_mean"], before["encoder/first.norm.running_mean"]
    ), "the encoder hears the target's batches"


def check_domains(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    """Every batch that stages 2 and 3 hear: source all clean, target all noisy."""
    heard: list[tuple[str, bool]] = []
    out = tmp_path / "run"
    shutil.rmtree(out, ignore_errors=True)
    refs = {ref.key: str(ref.domain) for ref in load_refs(load_set(str(suite / "train")))}
    with spied_batches(heard, refs):
        run_well("dat", "--shards", suite, "--out", out, "--encoder", dat_run, *DAT, *FEW)
    assert set(heard) == {("source", False), ("target", True)}


@contextmanager
def spied_batches(heard: list[tuple[str, bool]], refs: dict[str, str]) -> Iterator[None]:
    import trainer.data.loader as loader

    real = loader.Loader._checked

    def checked(self: Any, *arguments: Any) -> Any:
        for one in real(self, *arguments):
            for key, noisy in zip(one.keys, one.views[0].is_noisy.tolist(), strict=True):
                if key in refs:
                    heard.append((refs[key], noisy))
            yield one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader.Loader, "_checked", checked)
        yield


class Ear(nn.Module):
    """An encoder that hears how loud a chunk is, and a predictor that says so."""

    chunk_samples = CHUNK_SAMPLES

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        self.heard.append(len(audio))
        return audio.square().mean(dim=(1, 2))[:, None]


def check_all_chunks(tmp_path: Path) -> None:
    """Validation hears every whole chunk of every member, not the first of each."""
    folder = tmp_path / "set"
    shutil.rmtree(folder, ignore_errors=True)
    n_samples = 3 * CHUNK_SAMPLES + 500
    shard_set = write_set(
        str(folder), n_songs=4, excerpts=1, n_samples=n_samples, snrs_db=(0.0,), halves=False,
        codec="wav",
    )  # fmt: skip
    ear = Ear()
    TagValidation(shard_set, TAGS)(
        ear, nn.Linear(1, len(TAGS)), device=torch.device("cpu"), prepare=lambda x: x,
        autocast=torch.no_grad,
    )  # fmt: skip
    assert sum(ear.heard) == 4 * 2 * 3
