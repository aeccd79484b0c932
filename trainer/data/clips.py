"""Whole clips for evaluation: every example, in order, cut in all whole chunks.

The tail shorter than a chunk is dropped, as in CLMR's evaluation. Every member asked for must be
there, decode and hold the samples of the sidecar: scores over a set with a gap are never made.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from manifests.errors import ManifestError, UsageError
from manifests.keys import member_names
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from manifests.shardset import ShardSet
from trainer.data.crops import whole_pcm
from trainer.data.index import ExampleRef, load_refs, restrict
from trainer.data.loader import LoaderConfig, serve
from trainer.data.members import ShardReader
from trainer.data.stream import Failure


@dataclass(frozen=True)
class EvalClip:
    """One clip of a set.

    Attributes:
        ref: the example, with tags, song and artist.
        chunks: by member, (n_chunks, 1, chunk_samples), float32, full scale = 1.
    """

    ref: ExampleRef
    chunks: dict[str, torch.Tensor]


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


def check_chunks(refs: Sequence[ExampleRef], chunk_samples: int) -> None:
    """Check that every clip holds a chunk.

    Raises:
        ManifestError: one is shorter.
    """
    for ref in refs:
        if ref.n_samples < chunk_samples:
            raise ManifestError(
                f"{ref.shard_url}: {ref.key}: expected at least one chunk of {chunk_samples} "
                f"samples, got {ref.n_samples}; build the set with longer excerpts "
                f"(--min-duration-s {duration_s(chunk_samples):g})"
            )


def duration_s(n_samples: int) -> float:
    """Return the shortest duration, in whole ms, that holds so many samples."""
    return math.ceil(1000 * n_samples / SAMPLE_RATE) / 1000


def iter_clips(
    refs: Sequence[ExampleRef],
    *,
    chunk_samples: int = CHUNK_SAMPLES,
    rank: int = 0,
    world_size: int = 1,
    n_workers: int = 0,
) -> Iterator[EvalClip]:
    """Decode clips in order.

    Over several ranks each takes one contiguous piece, without padding: pieces differ by at most
    one clip, and their results in rank order are those of one process.

    Args:
        refs: the examples, as ``clip_refs`` returns them.
        chunk_samples: length of a chunk.
        rank: this process, from 0.
        world_size: number of processes.
        n_workers: decoding processes.

    Raises:
        ManifestError: a member is missing, does not decode or holds other samples than its
            sidecar says; the message names shard, example and member.
    """
    start, stop = (len(refs) * number // world_size for number in (rank, rank + 1))
    stream = ClipStream(refs[start:stop], chunk_samples)
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
    """

    def __init__(self, refs: Sequence[ExampleRef], chunk_samples: int) -> None:
        self.refs, self.chunk_samples = refs, chunk_samples

    def __iter__(self) -> Iterator[EvalClip | Failure]:
        """Yield clips; in a worker process an error becomes a ``Failure`` and ends the stream."""
        worker = get_worker_info()
        number, n_workers = (worker.id, worker.num_workers) if worker else (0, 1)
        try:
            with ShardReader() as reader:
                for ref in self.refs[number::n_workers]:
                    names = tuple(member.name for member in ref.members)
                    (contents,) = reader.read([(ref, names)])
                    yield EvalClip(ref, {name: self._chunks(ref, name, contents) for name in names})
        except ManifestError as error:
            if worker is None:
                raise
            yield Failure(str(error), isinstance(error, UsageError))

    def _chunks(self, ref: ExampleRef, name: str, contents: dict[str, bytes]) -> torch.Tensor:
        pcm = whole_pcm(ref, name, contents[name])
        n_chunks = len(pcm) // self.chunk_samples
        whole = pcm[: n_chunks * self.chunk_samples].astype(np.float32) / np.float32(32_768.0)
        return torch.from_numpy(whole.reshape(n_chunks, 1, self.chunk_samples))
