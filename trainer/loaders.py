"""The loader of a stage from the run's config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manifests.errors import ManifestError
from manifests.rows import CHUNK_SAMPLES
from trainer.compute import Compute
from trainer.config import TrainConfig
from trainer.data import Loader, LoaderConfig, Part


def open_loader(
    parts: Sequence[Part], batch_size: int, config: TrainConfig, compute: Compute
) -> Loader:
    """Return a loader of this rank's share of some parts.

    Args:
        parts: what is read.
        batch_size: examples of a step on one rank.
        config: seed, and which SNRs are heard.
        compute: rank, ranks, decoding processes.

    Raises:
        UsageError: too few examples for one batch per rank, with the numbers that would work.
        ManifestError: an example is shorter than a crop.
    """
    refs = [ref for part in parts for ref in part.refs]
    short = [ref for ref in refs if ref.n_samples < CHUNK_SAMPLES]
    if short:
        raise ManifestError(
            f"{short[0].shard_url}: {short[0].key}: expected at least {CHUNK_SAMPLES:,} samples, "
            f"got {short[0].n_samples:,} (so have {len(short):,} of {len(refs):,} examples); build "
            "the set with a larger --min-duration-s"
        )
    return Loader(
        parts,
        LoaderConfig(
            batch_size=batch_size,
            seed=config.seed,
            snr_over=config.snr.over,
            snr_draw=config.snr.draw,
            n_workers=compute.system.workers,
        ),
        rank=compute.world.rank,
        world_size=compute.world.size,
    )


def open_loaders(
    halves: Mapping[str, Sequence[Part]], batch_size: int, config: TrainConfig, compute: Compute
) -> dict[str, Loader]:
    """Return a loader of each half, in order; see ``open_loader``."""
    return {half: open_loader(parts, batch_size, config, compute) for half, parts in halves.items()}
