"""A batch as a stage gets it: tensors, and whose they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trainer.data.crops import ExampleViews


@dataclass(frozen=True)
class ViewBatch:
    """One view of every example of a batch.

    Attributes:
        audio: (B, 1, n_samples), float32, full scale = 1.
        is_noisy: (B,), bool.
        snr_db: (B,), float32; NaN where clean or not known.
    """

    audio: torch.Tensor
    is_noisy: torch.Tensor
    snr_db: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """One step's examples.

    Attributes:
        views: one entry per view of the reading, all of the same examples in the same order.
        tags: (B, n_tags), float32, 1 where the tag is set; None where tags are not read.
        keys: keys of the examples.
        songs: songs of the examples, all different.
        number: of the batch in the run, from 0; what draws of its own are keyed by.
        step: the optimizer's step that it belongs to, from 0.
        ends_step: whether it is the last one of its step.
    """

    views: tuple[ViewBatch, ...]
    tags: torch.Tensor | None
    keys: tuple[str, ...]
    songs: tuple[str, ...]
    number: int
    step: int
    ends_step: bool

    @property
    def audio(self) -> torch.Tensor:
        """Audio of the first view, (B, 1, n_samples)."""
        return self.views[0].audio

    @property
    def n_crops(self) -> int:
        """Crops of all views."""
        return len(self.keys) * len(self.views)

    def __len__(self) -> int:
        return len(self.keys)


def collate(
    examples: Sequence[ExampleViews],
    places: Mapping[str, int] | None,
    number: int,
    accumulate: int = 1,
) -> Batch:
    """Stack examples into a batch.

    Args:
        examples: the examples, all with the same number of views and samples.
        places: column of each tag; None leaves the tags unread.
        number: of the batch in the run.
        accumulate: batches of one step of the optimizer.
    """
    views = []
    for place in range(len(examples[0].waveforms)):
        audio = np.stack([example.waveforms[place] for example in examples])[:, None, :]
        noisy = [example.noisy[place] for example in examples]
        snrs = [
            math.nan if not loud or example.snr_db is None else example.snr_db
            for example, loud in zip(examples, noisy, strict=True)
        ]
        views.append(
            ViewBatch(
                torch.from_numpy(audio),
                torch.tensor(noisy),
                torch.tensor(snrs, dtype=torch.float32),
            )
        )
    return Batch(
        views=tuple(views),
        tags=None if places is None else _multi_hot(examples, places),
        keys=tuple(example.ref.key for example in examples),
        songs=tuple(example.ref.song for example in examples),
        number=number,
        step=number // accumulate,
        ends_step=number % accumulate == accumulate - 1,
    )


def by_step(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Group batches into steps of the optimizer."""
    step = list[Batch]()
    for batch in batches:
        step.append(batch)
        if batch.ends_step:
            yield step
            step = []


def _multi_hot(examples: Sequence[ExampleViews], places: Mapping[str, int]) -> torch.Tensor:
    tags = torch.zeros(len(examples), len(places))
    for row, example in enumerate(examples):
        for tag in example.ref.tags:
            tags[row, places[tag]] = 1.0
    return tags
