"""Bags of chunks: whole clips as a frozen tagger hears them, encoded once and kept in memory.

A bag is one member of one clip: all its whole chunks, as evaluation cuts them. Attention is trained
on these rows alone, so that a pass over the bags needs no audio and no encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from manifests.errors import UsageError
from trainer.audio_files import predict_chunks
from trainer.compute import Compute
from trainer.data import ExampleRef, iter_clips
from trainer.runs.distributed import World
from trainer.runs.progress import show_progress
from trainer.runs.seeding import step_generator
from trainer.tagger import Tagger


@dataclass(frozen=True)
class BagBatch:
    """Some bags, padded to the longest.

    Attributes:
        embeddings: (B, n_chunks, D).
        probabilities: (B, n_chunks, n_tags).
        mask: (B, n_chunks), False where a bag has no such chunk.
        tags: (B, n_tags), multi-hot.
    """

    embeddings: torch.Tensor
    probabilities: torch.Tensor
    mask: torch.Tensor
    tags: torch.Tensor


@dataclass(frozen=True)
class Bags:
    """The chunks of many bags, one bag after another, on the CPU.

    Attributes:
        embeddings: (n_chunks of all bags, D), float32.
        probabilities: (n_chunks of all bags, n_tags), float32.
        lengths: chunks of each bag, (n_bags,).
        tags: (n_bags, n_tags), multi-hot.
    """

    embeddings: torch.Tensor
    probabilities: torch.Tensor
    lengths: torch.Tensor
    tags: torch.Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, chosen: torch.Tensor, device: torch.device) -> BagBatch:
        """Return the bags of some numbers (B,) on a device."""
        lengths, ends = self.lengths[chosen], self.lengths.cumsum(0)[chosen]
        places = [slice(int(end - n), int(end)) for n, end in zip(lengths, ends, strict=True)]

        def padded(rows: torch.Tensor) -> torch.Tensor:
            return pad_sequence([rows[place] for place in places], batch_first=True).to(device)

        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        return BagBatch(
            padded(self.embeddings), padded(self.probabilities), mask.to(device),
            self.tags[chosen].to(device),
        )  # fmt: skip


def encode_bags(refs: Sequence[ExampleRef], tagger: Tagger, compute: Compute) -> Bags:
    """Encode all whole chunks of every member of some clips, in order, in float32.

    Over several ranks each encodes a share, and all get all.

    Args:
        refs: the clips, each with the members that make its bags.
        tagger: the tagger.
        compute: device, rank, ranks, decoding processes.

    Raises:
        ManifestError: a clip is damaged.
    """
    world, length = compute.world, tagger.encoder.chunk_samples
    predict = tagger.predict(compute.device)
    share = [len(refs) * rank // world.size for rank in (world.rank, world.rank + 1)]
    n_rows = int(bag_lengths(refs[slice(*share)], length).sum())
    embeddings = torch.empty(n_rows, tagger.encoder.n_features)
    probabilities = torch.empty(n_rows, len(tagger.tags))
    clips = iter_clips(
        refs,
        chunk_samples=length,
        rank=world.rank,
        world_size=world.size,
        n_workers=compute.system.workers,
        cache=compute.shard_cache,
        band_hz=tagger.band_hz,
    )
    row = 0
    with show_progress("bags", share[1] - share[0], quiet=not world.is_main) as show:
        for number, clip in enumerate(clips, 1):
            for chunks in clip.chunks.values():
                place = slice(row, row + len(chunks))
                found = predict_chunks(predict, chunks.numpy())
                probabilities[place], embeddings[place] = map(torch.from_numpy, found)
                row = place.stop
            show(number, n_examples=1)
    return Bags(
        embeddings=world.gather_rows(embeddings),
        probabilities=world.gather_rows(probabilities),
        lengths=bag_lengths(refs, length),
        tags=_tags(refs, tagger.tags),
    )


def bag_lengths(refs: Sequence[ExampleRef], chunk_samples: int) -> torch.Tensor:
    """Return the whole chunks of each bag, (n_bags,): every member of a clip is one."""
    lengths = [ref.n_samples // chunk_samples for ref in refs for _ in ref.members]
    return torch.tensor(lengths, dtype=torch.int64)


def _tags(refs: Sequence[ExampleRef], tags: Sequence[str]) -> torch.Tensor:
    rows = [[float(tag in ref.tags) for tag in tags] for ref in refs for _ in ref.members]
    return torch.tensor(rows)


def bags_fingerprint(refs: Sequence[ExampleRef]) -> str:
    """Return a hash over keys, tags and samples: other bags are another stage."""
    digest = hashlib.sha256()
    for ref in refs:
        samples = " ".join(member.pcm_sha256 for member in ref.members)
        digest.update(f"{ref.key} {','.join(ref.tags)} {samples}\n".encode())
    return digest.hexdigest()


def steps_per_epoch(n_bags: int, batch_size: int, world: World) -> int:
    """Return the steps of a pass over the bags; those that fill no batch are left out.

    Raises:
        UsageError: there are too few bags for one batch per rank.
    """
    steps = n_bags // (batch_size * world.size)
    if not steps:
        raise UsageError(
            f"--pooling-batch-size: expected at most {n_bags // world.size} for {n_bags} bags on "
            f"{world.size} ranks, got {batch_size}"
        )
    return steps


def chosen_bags(
    n_bags: int, batch_size: int, step: int, *, seed: int, world: World
) -> torch.Tensor:
    """Return the numbers of the bags of a step on this rank, (batch_size,).

    Every pass shuffles anew, by (seed, pass) alone, so that a resumed stage goes on in order.
    """
    pass_number, place = divmod(step, steps_per_epoch(n_bags, batch_size, world))
    generator = step_generator(seed, "bags", pass_number)
    first = (place * world.size + world.rank) * batch_size
    return torch.randperm(n_bags, generator=generator)[first : first + batch_size]
