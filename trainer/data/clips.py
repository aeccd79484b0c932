"""Whole clips for evaluation: every example, in order, cut in all whole chunks.

The tail shorter than a chunk is dropped, as in CLMR's evaluation. Every member asked for must be
there, decode and hold the samples of the sidecar: scores over a set with a gap are never made.
Perturbations of the clean member follow the members of the set (``trainer.data.perturbed``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from manifests.errors import ManifestError, UsageError
from manifests.keys import member_names
from manifests.reading import limit_band
from manifests.rows import CHUNK_SAMPLES
from manifests.shardset import ShardSet
from manifests.signal import Pcm, from_pcm
from trainer.data.crops import whole_pcm
from trainer.data.index import ExampleRef, load_refs, restrict
from trainer.data.lengths import check_chunks
from trainer.data.loader import LoaderConfig, serve
from trainer.data.members import ShardReader
from trainer.data.perturbed import perturbed
from trainer.data.shard_cache import ShardCacheConfig
from trainer.data.stream import Failure
from trainer.level import narrower_hz
from trainer.perturb.perturbation import Perturbation


@dataclass(frozen=True)
class EvalClip:
    """One clip of a set.

    Attributes:
        ref: the example, with tags, song and artist.
        chunks: by member, (n_chunks, 1, chunk_samples), float32, full scale = 1; perturbations
            follow the members of the set, by their names.
        snr_db: SNR that perturbations with noise came to, dB, over the whole clip, by name.
    """

    ref: ExampleRef
    chunks: dict[str, torch.Tensor]
    snr_db: dict[str, float] = field(default_factory=dict)


def clip_refs(
    shard_set: ShardSet,
    members: Sequence[str],
    *,
    subset: Collection[str] | None = None,
    chunk_samples: int = CHUNK_SAMPLES,
) -> tuple[ExampleRef, ...]:
    """Return the examples to evaluate, in the set's order.

    Args:
        shard_set: a finished set.
        members: members to decode, e.g. ``["clean", "noisy.snr_0"]``.
        subset: keys to keep, e.g. of a common subset; None keeps all.
        chunk_samples: length of a chunk.

    Raises:
        ManifestError: the set on disk is not what its index says, a clip is shorter than a chunk,
            or a key of the subset is not in the set.
        UsageError: the set stores no such member.
    """
    stored = member_names(shard_set.index.snrs_db, with_noise=bool(shard_set.index.snrs_db))
    missing = [name for name in members if name not in stored]
    if missing or not members:
        raise UsageError(
            f"{shard_set.url}: expected members among {', '.join(stored)}, got "
            f"{', '.join(missing) or 'none'}"
        )
    refs = restrict(load_refs(shard_set), members)
    if subset is not None:
        absent = sorted(set(subset) - {ref.key for ref in refs})
        if absent:
            raise ManifestError(
                f"{shard_set.url}: expected all {len(subset)} keys of the subset, "
                f"{len(absent)} are not in the set, first {absent[0]}; thaw the whole set"
            )
        refs = tuple(ref for ref in refs if ref.key in subset)
    check_chunks(refs, chunk_samples)
    return refs


def iter_clips(
    refs: Sequence[ExampleRef],
    *,
    chunk_samples: int = CHUNK_SAMPLES,
    rank: int = 0,
    world_size: int = 1,
    n_workers: int = 0,
    perturbations: Sequence[Perturbation] = (),
    band_hz: float | None = None,
    cache: ShardCacheConfig | None = None,
) -> Iterator[EvalClip]:
    """Decode clips in order.

    Over several ranks each takes one contiguous piece, without padding: pieces differ by at most
    one clip, and their results in rank order are those of one process.

    Args:
        refs: the examples, as ``clip_refs`` returns them.
        chunk_samples: length of a chunk.
        rank: this process, from 0.
        world_size: number of processes.
        n_workers: decoding processes; they perturb too.
        perturbations: what is done to the ``clean`` or ``audio`` member, which must be among those
            of every reference.
        band_hz: upper edge that clips of a wider band are limited to, Hz: whole, before they are
            cut, as ``train tag`` limits a file. None leaves them as they are.
        cache: local folder for shards of object stores; None reads byte ranges alone.

    Raises:
        ManifestError: a member is missing, does not decode or holds other samples than its
            sidecar says, or cannot be perturbed; the message names shard, example and member.
    """
    start, stop = (len(refs) * number // world_size for number in (rank, rank + 1))
    stream = ClipStream(refs[start:stop], chunk_samples, perturbations, band_hz, cache)
    n_clips = 0
    for item in serve(stream, LoaderConfig(n_workers=min(n_workers, stop - start))):
        if isinstance(item, Failure):
            raise item.error()
        n_clips += 1
        yield item
    if n_clips != stop - start:
        raise ManifestError(f"evaluation: expected {stop - start} clips, got {n_clips}")


class ClipStream(IterableDataset[Any]):
    """Clips of one process, shared among its workers in turn, so that they come out in order.

    Args:
        refs: the examples.
        chunk_samples: length of a chunk.
        perturbations: what is done to their ``clean`` or ``audio`` members.
        band_hz: upper edge that clips of a wider band are limited to, Hz.
        cache: local folder for shards of object stores.
    """

    def __init__(
        self,
        refs: Sequence[ExampleRef],
        chunk_samples: int,
        perturbations: Sequence[Perturbation] = (),
        band_hz: float | None = None,
        cache: ShardCacheConfig | None = None,
    ) -> None:
        self.refs, self.chunk_samples, self.perturbations = refs, chunk_samples, perturbations
        self.band_hz, self.cache = band_hz, cache

    def __iter__(self) -> Iterator[EvalClip | Failure]:
        """Yield clips; in a worker process an error becomes a ``Failure`` and ends the stream."""
        worker = get_worker_info()
        number, n_workers = (worker.id, worker.num_workers) if worker else (0, 1)
        try:
            with ShardReader(self.cache) as reader:
                for ref in self.refs[number::n_workers]:
                    names = tuple(member.name for member in ref.members)
                    (contents,) = reader.read([(ref, names)])
                    pcm = {name: whole_pcm(ref, name, contents[name]) for name in names}
                    limit_hz = narrower_hz(self.band_hz, ref.band_hz)
                    chunks = {name: self._chunks(x, limit_hz) for name, x in pcm.items()}
                    clip = EvalClip(ref, chunks)
                    heard = replace(ref, band_hz=limit_hz or ref.band_hz)
                    for name, waveform, snr_db in perturbed(heard, pcm, self.perturbations):
                        clip.chunks[name] = self._whole(waveform)
                        if snr_db is not None:
                            clip.snr_db[name] = snr_db
                    yield clip
        except ManifestError as error:
            if worker is None:
                raise
            yield Failure(str(error), isinstance(error, UsageError))

    def _chunks(self, pcm: Pcm, limit_hz: float | None) -> torch.Tensor:
        if limit_hz is not None:
            return self._whole(limit_band(from_pcm(pcm), limit_hz).astype(np.float32))
        return self._whole(pcm.astype(np.float32) / np.float32(32_768.0))

    def _whole(self, waveform: NDArray[np.float32]) -> torch.Tensor:
        n_chunks = len(waveform) // self.chunk_samples
        whole = waveform[: n_chunks * self.chunk_samples]
        return torch.from_numpy(whole.reshape(n_chunks, 1, self.chunk_samples))
