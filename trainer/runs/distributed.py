"""Several processes that train one model: ``torchrun`` with the same command, or one process.

No DistributedDataParallel: a stage holds several networks, runs some of them twice a step and
others frozen, which DDP allows only with care; and 2.4 million parameters are averaged in one
reduction of 10 MB. So every rank computes its gradients and ``average_gradients`` is called before
the optimizer's step, which gives what DDP gives.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch
from torch import distributed, nn

from manifests.errors import ManifestError, UsageError

TIMEOUT_S: Final = 600.0
"""How long a rank waits for the others in any exchange before it gives up with an error."""


@dataclass(frozen=True)
class World:
    """The processes of a run; one process alone is a world of size 1, where all is a no-op.

    Attributes:
        rank: this process, from 0.
        size: number of processes.
        local_rank: this process among those of its machine.
        control: group on the CPU for counts and barriers; None in a world of one.
        timeout_s: how long this process waits for the others in any exchange.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    control: Any = None
    timeout_s: float = TIMEOUT_S

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every rank is here.

        Raises:
            ManifestError: a rank did not come in time; the first rank's message names it.
        """
        if self.size == 1:
            return
        try:
            distributed.monitored_barrier(
                self.control, timeout=timedelta(seconds=self.timeout_s), wait_all_ranks=True
            )
        except RuntimeError as error:
            raise ManifestError(
                f"rank {self.rank}: expected all {self.size} ranks within {self.timeout_s:g} s: "
                f"{error}"
            ) from error

    def gather_counts(self, count: int) -> list[int]:
        """Return the number of every rank, in rank order."""
        if self.size == 1:
            return [count]
        counts = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        own = torch.tensor([count], dtype=torch.int64)
        distributed.all_gather(counts, own, group=self.control)
        return [int(one) for one in counts]

    def gather_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Concatenate rows of all ranks in rank order; ranks may hold different numbers of them.

        Args:
            rows: (n, ...), any n of at least 0, the same other dimensions on every rank.

        Returns:
            (sum of n, ...), on the CPU.
        """
        rows = rows.detach().cpu().contiguous()
        if self.size == 1:
            return rows
        counts = self.gather_counts(len(rows))
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        gathered = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(gathered, padded, group=self.control)
        return torch.cat([piece[:n] for piece, n in zip(gathered, counts, strict=True)])

    def mean(self, values: Sequence[float]) -> list[float]:
        """Return the mean of each value over the ranks, e.g. of losses to log."""
        if self.size == 1:
            return [float(value) for value in values]
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total, group=self.control)
        return [float(value) for value in total / self.size]


@contextlib.contextmanager
def joined_world(device: torch.device, *, timeout_s: float = TIMEOUT_S) -> Iterator[World]:
    """Join the processes that ``torchrun`` started; a world of one without it.

    Args:
        device: of this process; CUDA tensors are reduced by NCCL, others by gloo.
        timeout_s: how long a rank waits for the others in any exchange.

    Yields:
        The world; it is left at the end.

    Raises:
        UsageError: the environment of torchrun is incomplete.
    """
    rank, size, local_rank = environment()
    if size == 1:
        yield World()
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    timeout = timedelta(seconds=timeout_s)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(backend, timeout=timeout, rank=rank, world_size=size)
    try:
        control = distributed.new_group(backend="gloo", timeout=timeout)
        yield World(rank, size, local_rank, control, timeout_s)
    finally:
        distributed.destroy_process_group()


def environment() -> tuple[int, int, int]:
    """Return rank, number of ranks and local rank from torchrun's variables; 0, 1, 0 without.

    Raises:
        UsageError: some are set and others are not, or one is no number.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    values = [os.environ.get(name, "") for name in names]
    if not any(values):
        return 0, 1, 0
    if not all(value.isdecimal() for value in values):
        found = ", ".join(f"{name}={value!r}" for name, value in zip(names, values, strict=True))
        raise UsageError(f"torchrun: expected numbers in {', '.join(names)}, got {found}")
    rank, size, local_rank = map(int, values)
    return rank, size, local_rank


def average_gradients(parameters: Iterable[nn.Parameter], world: World) -> None:
    """Replace each gradient by its mean over the ranks; call it before the optimizer's step.

    All gradients travel in one buffer per dtype. A parameter without a gradient on this rank
    counts as zero, so that ranks never wait for a reduction that another one leaves out; frozen
    parameters take no part.
    """
    if world.size == 1:
        return
    groups: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.requires_grad:
            groups.setdefault(parameter.dtype, []).append(parameter)
    for group in groups.values():
        for parameter in group:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        _average([parameter.grad for parameter in group if parameter.grad is not None], world)


def average_buffers(modules: Iterable[nn.Module], world: World) -> None:
    """Replace BatchNorm's running statistics by their mean over the ranks.

    Each rank gathers those of its own batches. Call it on all ranks before validation and before
    a checkpoint, which rank 0 writes for all: only then a resumed run equals one that went on.
    Integer buffers (counts of batches) agree by themselves. Leave frozen networks out: a mean of
    three equal numbers may differ from them in the last bit. Constants such as a mel front end's
    filters are left out for the same reason.
    """
    if world.size == 1:
        return
    for module in modules:
        floats = [
            buffer
            for part in module.modules()
            if isinstance(part, nn.modules.batchnorm._BatchNorm)
            for buffer in part.buffers(recurse=False)
            if buffer.is_floating_point()
        ]
        if floats:
            _average(floats, world)


def broadcast_modules(modules: Iterable[nn.Module], world: World) -> None:
    """Give every rank the parameters and buffers of rank 0; call it before the first step."""
    if world.size == 1:
        return
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            # gloo and NCCL take plain layouts only, and channels-last is none.
            plain = tensor.detach().contiguous()
            distributed.broadcast(plain, src=0)
            tensor.detach().copy_(plain)


def _average(tensors: Sequence[torch.Tensor], world: World) -> None:
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= world.size
    start = 0
    for tensor in tensors:
        tensor.detach().copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()
