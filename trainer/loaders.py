"""The loader of a stage from the run's config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manifests.errors import ManifestError
from trainer.compute import Compute
from trainer.config import TrainConfig
from trainer.data import Loader, LoaderConfig, Part
from trainer.data.lengths import duration_s
from trainer.data.snr import SnrDraw
from trainer.models.registry import chunk_samples


def open_loader(
    parts: Sequence[Part], batch_size: int, config: TrainConfig, compute: Compute
) -> Loader:
    """Return a loader of this rank's share of some parts.

    Args:
        parts: what is read.
        batch_size: examples of a batch on one rank.
        config: seed, length of a crop, batches of a step, and which SNRs are heard.
        compute: rank, ranks, decoding processes.

    Raises:
        UsageError: too few examples for one step per rank, with the numbers that would work; or
            a length that the backbone cannot have.
        ManifestError: an example is shorter than a crop.
    """
    n_samples = chunk_samples(config.model)
    check_lengths(parts, n_samples)
    return Loader(
        parts,
        LoaderConfig(
            batch_size=batch_size,
            crop_samples=n_samples,
            seed=config.seed,
            snr_over=config.snr.over,
            snr_draw=config.snr.draw,
            accumulate=config.step.accumulate,
            n_workers=compute.system.workers,
            cache=compute.shard_cache,
        ),
        rank=compute.world.rank,
        world_size=compute.world.size,
    )


def open_loaders(
    halves: Mapping[str, Sequence[Part]], batch_size: int, config: TrainConfig, compute: Compute
) -> dict[str, Loader]:
    """Return a loader of each half, in order; see ``open_loader``."""
    return {half: open_loader(parts, batch_size, config, compute) for half, parts in halves.items()}


def open_validation_loader(
    part: Part, batch_size: int, config: TrainConfig, compute: Compute, *, snr_draw: SnrDraw
) -> Loader:
    """Return a loader of validation crops, the same on every rank.

    Args:
        part: what is read.
        batch_size: examples of a batch.
        config: seed, length of a crop, and what has the SNR: the clip or the crop.
        compute: decoding processes and cache.
        snr_draw: ``integer`` draws whole dB, ``stored`` the set's own rungs.

    Raises:
        UsageError: too few examples for one batch, or a length that the backbone cannot have.
        ManifestError: an example is shorter than a crop.
    """
    n_samples = chunk_samples(config.model)
    check_lengths([part], n_samples)
    options = LoaderConfig(
        batch_size=batch_size,
        crop_samples=n_samples,
        seed=config.seed,
        snr_over=config.snr.over,
        snr_draw=snr_draw,
        n_workers=compute.system.workers,
        cache=compute.shard_cache,
    )
    return Loader([part], options)


def check_lengths(parts: Sequence[Part], n_samples: int) -> None:
    """Check that every example holds a crop.

    Raises:
        ManifestError: one is shorter; the message says how many, and which duration is needed.
    """
    refs = [ref for part in parts for ref in part.refs]
    short = [ref for ref in refs if ref.n_samples < n_samples]
    if short:
        raise ManifestError(
            f"{short[0].shard_url}: {short[0].key}: expected at least {n_samples:,} samples, "
            f"got {short[0].n_samples:,} (so have {len(short):,} of {len(refs):,} examples); build "
            f"the set with --min-duration-s {duration_s(n_samples):g} or larger"
        )
