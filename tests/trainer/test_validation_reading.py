"""Validation reads as training does: by the shard cache and workers, at the SNR of the crop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
import torch
from tiny_sets import TAGS, write_set
from tiny_suite import SET

from manifests.shardset import ShardSet
from trainer.compute import Compute
from trainer.config import EncoderConfig, ModelConfig, SnrConfig, SystemConfig, TrainConfig
from trainer.data import Loader, clip_refs, iter_clips
from trainer.roles import Roles
from trainer.runs.distributed import World
from trainer.stage1_encoder import ContrastiveValidation
from trainer.stage2_domain import DomainValidation
from trainer.validation import open_validation

MODEL = ModelConfig(width=0.03)


@pytest.fixture
def remote() -> Iterator[ShardSet]:
    """A validation set in an object store of this process."""
    yield write_set("memory://valid-test/valid", **{**SET, "n_songs": 4, "halves": False})
    fsspec.filesystem("memory").rm("/valid-test", recursive=True)


@pytest.fixture
def roles(remote: ShardSet) -> Roles:
    return Roles({role: remote.url for role in ("train", "valid", "pretrain-valid")})


def on_cpu(cache: Path | None = None, workers: int = 0) -> Compute:
    system = SystemConfig(workers=workers, shard_cache=str(cache or ""))
    return Compute(torch.device("cpu"), World(), system)


def loaders(roles: Roles, config: TrainConfig, compute: Compute) -> list[Loader]:
    domain = DomainValidation(roles, config, compute)
    contrastive = ContrastiveValidation(roles, config, compute)
    return [domain._clean, domain._noisy, *contrastive._loaders.values()]


def test_clips_come_through_the_cache(remote: ShardSet, tmp_path: Path) -> None:
    compute, refs = on_cpu(tmp_path), clip_refs(remote, ["clean"], chunk_samples=20_000)
    plain = list(iter_clips(refs, chunk_samples=20_000))
    assert not any(tmp_path.iterdir())
    cached = list(iter_clips(refs, chunk_samples=20_000, cache=compute.shard_cache))
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {
        info.bytes for info in remote.index.shards
    }
    for a, b in zip(plain, cached, strict=True):
        assert torch.equal(a.chunks["clean"], b.chunks["clean"])


def test_every_validation_takes_workers_and_cache(roles: Roles, tmp_path: Path) -> None:
    compute = on_cpu(tmp_path, workers=3)
    config = TrainConfig(model=MODEL)
    for loader in loaders(roles, config, compute):
        assert loader.config.n_workers == 3
        assert loader.config.cache is compute.shard_cache is not None, "one age for all"
    assert open_validation(roles, config, compute).cache is compute.shard_cache
    assert roles.open("train").index.tags == TAGS


@pytest.mark.parametrize("rungs", [(10.0, 0.0, -10.0), (-10.0,)])
def test_validation_hears_the_snr_of_the_crop_where_training_does(
    tmp_path: Path, rungs: tuple[float, ...]
) -> None:
    url = str(tmp_path / "valid")
    write_set(url, **{**SET, "n_songs": 4, "halves": False, "snrs_db": rungs})
    roles = Roles({role: url for role in ("train", "valid", "pretrain-valid")})
    config = TrainConfig(model=MODEL, encoder=EncoderConfig(batch_size=4))
    heard = {}
    for over in ("clip", "crop"):
        changed = replace(config, snr=SnrConfig(over=over))  # type: ignore[arg-type]
        _, noisy, _, contrastive = loaders(roles, changed, on_cpu())
        assert noisy.config.snr_over == contrastive.config.snr_over == over
        heard[over] = torch.cat([batch.views[0].audio for batch in contrastive.batches(0, 1)])
        list(noisy.batches(0, 1))
    assert not torch.equal(heard["clip"], heard["crop"])
