"""The validation of taggers: each rank scores its share, and all get the figures of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_sets import TAGS, write_set
from torch import nn

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from manifests.shardset import ShardSet
from trainer import validation
from trainer.compute import Compute
from trainer.config import SystemConfig, TagConfig, TrainConfig
from trainer.data.clips import iter_clips
from trainer.roles import open_roles
from trainer.runs.distributed import World
from trainer.validation import TagValidation, open_validation

N_CLIPS = 6


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Six clips of two chunks."""
    return write_set(
        str(tmp_path_factory.mktemp("valid") / "set"), n_songs=N_CLIPS, excerpts=1,
        n_samples=2 * CHUNK_SAMPLES, snrs_db=(0.0, -5.0), halves=False, codec="wav",
    )  # fmt: skip


class Loudness(nn.Module):
    """An encoder that hears how loud a chunk is."""

    chunk_samples = CHUNK_SAMPLES

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return audio.square().mean(dim=(1, 2))[:, None]


def networks() -> tuple[Any, nn.Module]:
    torch.manual_seed(0)
    return Loudness(), nn.Linear(1, len(TAGS))


def validate(one: TagValidation, encoder: Any, predictor: nn.Module) -> dict[str, float]:
    return one(
        encoder, predictor, device=torch.device("cpu"), prepare=lambda x: x, autocast=torch.no_grad
    )


@pytest.mark.parametrize("size", [2, 3, N_CLIPS + 2])
def test_ranks_share_the_clips(valid: ShardSet, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last rank's figures, made of all shares, are those of one process alone."""
    expected = validate(TagValidation(valid, TAGS), *networks())
    assert set(expected) == {"auc_clean", "auc_snr_0", "auc_snr_-5", "auc_mean"}
    heard: list[int] = []

    def spy(*arguments: Any, **options: Any) -> Any:
        for clip in iter_clips(*arguments, **options):
            heard.append(options["rank"])
            yield clip

    monkeypatch.setattr(validation, "iter_clips", spy)
    shares: list[torch.Tensor] = []

    def gather(_world: World, rows: torch.Tensor) -> torch.Tensor:
        shares.append(rows)
        return torch.cat(shares)

    monkeypatch.setattr(World, "gather_rows", gather)
    for rank in range(size):
        one = TagValidation(valid, TAGS, world=World(rank, size))
        if rank < size - 1:
            monkeypatch.setattr(one, "figures", lambda scores: {})
        found = validate(one, *networks())
    assert found == expected
    assert len(heard) == N_CLIPS and max(np.bincount(heard)) == -(-N_CLIPS // size)


def test_decoding_processes_change_nothing(valid: ShardSet) -> None:
    assert validate(TagValidation(valid, TAGS, workers=2), *networks()) == validate(
        TagValidation(valid, TAGS), *networks()
    )


class Treble(Loudness):
    """An encoder that notes how much it hears above 8 kHz; a window, since chunks have edges."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[float] = []

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(audio[:, 0] * torch.hann_window(CHUNK_SAMPLES)).abs().square()
        above = spectrum[:, round(8_000 * CHUNK_SAMPLES / SAMPLE_RATE) :]
        self.heard.append(float(above.sum() / spectrum.sum()))
        return super().forward(audio)


@pytest.mark.parametrize(("band_hz", "hears"), [(None, True), (7_200.0, False)])
def test_clips_are_limited_to_the_band_of_the_training_set(
    valid: ShardSet, band_hz: float | None, hears: bool
) -> None:
    treble = Treble()
    validate(TagValidation(valid, TAGS, band_hz=band_hz), treble, networks()[1])
    assert (max(treble.heard) > 1e-6) is hears, treble.heard


def test_networks_train_on_afterwards(valid: ShardSet) -> None:
    encoder, predictor = networks()
    validate(TagValidation(valid, TAGS), encoder.eval(), predictor.eval())
    assert encoder.training and predictor.training


def test_ranks_workers_and_limit_of_a_run_arrive(valid: ShardSet) -> None:
    roles = open_roles(None, (f"train={valid.url}", f"valid={valid.url}"))
    world = World(1, 2)
    compute = Compute(torch.device("cpu"), world, SystemConfig(workers=3))
    found = open_validation(roles, TrainConfig(tagger=TagConfig(valid_limit=4)), compute)
    assert (found.workers, found.world, len(found.refs)) == (3, world, 4)
    assert found.band_hz == roles.band_hz()
