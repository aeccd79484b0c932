"""What happened between two records of a log: means of losses, throughput, waiting, memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import torch

from trainer.runs.distributed import World
from trainer.runs.memory import memory_mb

Item = TypeVar("Item")


class Tally:
    """Sums up batches until they are asked for; times are those of this process."""

    def __init__(self) -> None:
        self.begin()

    def begin(self, now: float | None = None) -> None:
        """Forget what was noted; time runs from ``now`` on, the end of the last record."""
        self._sums: dict[str, torch.Tensor | float] = {}
        self._counts = Counter[str]()
        self._n_examples = 0
        self._waited_s = 0.0
        self._since = self._until = time.monotonic() if now is None else now

    def __bool__(self) -> bool:
        """Tell whether anything was noted."""
        return bool(self._sums)

    def add(self, figures: Mapping[str, torch.Tensor | float], n: int) -> None:
        """Note a batch.

        Args:
            figures: losses by name; tensors are read only when the means are asked for.
            n: crops that were heard.
        """
        for name, value in figures.items():
            detached = value.detach() if isinstance(value, torch.Tensor) else value
            self._sums[name] = self._sums.get(name, 0.0) + detached
        self._counts.update(figures.keys())
        self._n_examples += n

    def awaited(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Pass batches on, and take the time that they are waited for."""
        source = iter(batches)
        while True:
            begin = time.monotonic()
            try:
                batch = next(source)
            except StopIteration:
                return
            finally:
                self._waited_s += time.monotonic() - begin
            yield batch

    @property
    def until(self) -> float:
        """When the last figures were asked for; the next record begins there."""
        return self._until

    def leave_out(self, taken_s: float) -> None:
        """Leave out time that belongs to something else, a validation, s."""
        self._since += taken_s

    def n_examples(self, world: World) -> int:
        """Crops of all ranks."""
        return self._n_examples * world.size

    def figures(self, world: World) -> dict[str, float]:
        """Return means over all ranks and what they took, as names of the log.

        ``train/data_wait`` is the share of the time that the loop waited for batches: near 0 the
        networks are the bottleneck, near 1 decoding is. A GPU computes on while the loop waits, so
        there it may be some way above 0 before anything is lost.
        """
        names = list(self._sums)
        means = world.mean([float(self._sums[name]) / self._counts[name] for name in names])
        self._until = time.monotonic()
        seconds = self._until - self._since
        taken_s = max(seconds, 1e-9)
        return {
            **{f"train/{name}": value for name, value in zip(names, means, strict=True)},
            "train/examples_per_s": self.n_examples(world) / taken_s,
            "train/seconds": seconds,
            "train/data_wait": min(self._waited_s / taken_s, 1.0),
            "train/memory_mb": memory_mb(),
        }
