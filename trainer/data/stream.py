"""The webdataset pipeline of one process: draws, byte ranges of shards, crops, batches.

Four stages in a ``wds.DataPipeline``: the examples of this process' steps in order; their members,
read by byte range; their crops; batches. webdataset's shard lists, shuffles and splitters are not
used (see ``trainer.data.order``), nor its decoders, its handlers that skip, and its ``pipe:`` URLs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import webdataset as wds
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.filters import unlisted

from manifests import store
from manifests.errors import ManifestError, UsageError
from trainer.data.batches import Batch, collate
from trainer.data.crops import ExampleViews, cut_views
from trainer.data.draws import ExampleDraw, draw_example
from trainer.data.index import ExampleRef
from trainer.data.member_file import MemberFile
from trainer.data.members import ShardReader
from trainer.data.part import Part
from trainer.data.plan import BatchPlan
from trainer.data.rungs import SnrOver
from trainer.data.shard_cache import ShardCacheConfig
from trainer.data.snr import SnrAt, SnrDraw

Members: TypeAlias = Mapping[str, bytes | MemberFile]
"""Contents by name, or files that hold them."""


@dataclass(frozen=True)
class Failure:
    """An error on its way from a worker process, where an exception would lose its text."""

    message: str
    is_usage: bool

    def error(self) -> ManifestError:
        """Return the error to raise in the main process."""
        return UsageError(self.message) if self.is_usage else ManifestError(self.message)


@dataclass(frozen=True)
class Source:
    """What a stream is made of: the parts, their batches, and how examples are cut.

    ``places`` are the columns of the tags, None where tags are not read; ``cache`` is where shards
    of object stores are kept.
    """

    parts: tuple[Part, ...]
    plan: BatchPlan
    crop_samples: int
    snr_over: SnrOver
    snr_draw: SnrDraw
    places: Mapping[str, int] | None
    cache: ShardCacheConfig | None = None

    @property
    def is_local(self) -> bool:
        """Whether every set is on this machine."""
        return all(store.is_local(ref.set_url) for part in self.parts for ref in part.refs[:1])


class BatchStream(IterableDataset[Any]):
    """The batches of steps ``first_step`` to ``first_step + n_steps``, shared among workers.

    Worker w of W makes batches w, w + W, ...: what a batch holds does not depend on W, and the
    DataLoader, which asks the workers in turn, hands the batches out in order.

    Args:
        source: what the batches are made of.
        first_step: the first step.
        n_steps: how many.
        snr_at: the SNR range of each step.
    """

    def __init__(self, source: Source, first_step: int, n_steps: int, snr_at: SnrAt) -> None:
        self.source, self.snr_at = source, snr_at
        self.first_step, self.n_steps = first_step, n_steps

    def __iter__(self) -> Iterator[Batch | Failure]:
        """Yield batches; in a worker process an error becomes a ``Failure`` and ends the stream."""
        worker = get_worker_info()
        own, n_workers = (worker.id, worker.num_workers) if worker else (0, 1)
        a_step = self.source.plan.accumulate
        first, last = self.first_step * a_step, (self.first_step + self.n_steps) * a_step
        try:
            with ShardReader(self.source.cache) as reader:
                numbers = range(first + own, last, n_workers)
                yield from _pipeline(self.source, numbers, self.snr_at, reader)
        except ManifestError as error:
            if worker is None:
                raise
            yield Failure(str(error), isinstance(error, UsageError))


def _pipeline(
    source: Source, numbers: range, snr_at: SnrAt, reader: ShardReader
) -> Iterator[Batch]:
    batch_size = source.plan.batch_size
    coming = iter(numbers)

    def draws() -> Iterator[ExampleDraw]:
        return itertools.chain.from_iterable(_draws(source, number, snr_at) for number in numbers)

    def read(group: list[ExampleDraw]) -> list[tuple[ExampleDraw, Members]]:
        if len(group) == 1:
            return [(group[0], reader.open(group[0].ref, group[0].members))]
        contents = reader.read([(draw.ref, draw.members) for draw in group])
        return list(zip(group, contents, strict=True))

    def cut(item: tuple[ExampleDraw, Members]) -> ExampleViews:
        return cut_views(*item, source.crop_samples, source.snr_over)

    def batch(examples: list[ExampleViews]) -> Batch:
        return collate(examples, source.places, next(coming), source.plan.accumulate)

    # One example at a time from disk keeps memory small; a whole batch at a time from an object
    # store hides its latency.
    group_size = 1 if source.is_local else batch_size
    pipeline = wds.DataPipeline(
        draws,
        wds.batched(group_size, collation_fn=None, partial=True),
        wds.map(read),
        unlisted(),
        wds.map(cut),
        wds.batched(batch_size, collation_fn=batch, partial=False),
    )
    return iter(pipeline)


def _draws(source: Source, number: int, snr_at: SnrAt) -> list[ExampleDraw]:
    pass_number, examples = source.plan.batch(number)
    snr = snr_at(number // source.plan.accumulate)
    values = [part.snr_values(snr, source.snr_draw) for part in source.parts]
    drawn = []
    for example in examples:
        place, ref = _locate(source.parts, example)
        drawn.append(
            draw_example(
                source.parts[place],
                ref,
                seed=source.plan.seed,
                pass_number=pass_number,
                crop_samples=source.crop_samples,
                snr_values=values[place],
                snr_over=source.snr_over,
            )
        )
    return drawn


def _locate(parts: tuple[Part, ...], example: int) -> tuple[int, ExampleRef]:
    """Return the part and the reference of an example, numbered over all parts."""
    for number, part in enumerate(parts):
        if example < len(part.refs):
            return number, part.refs[example]
        example -= len(part.refs)
    raise IndexError(f"example {example}: expected fewer than all parts hold")
