"""Gather a tensor from all ranks, with gradient.

NT-Xent over the projections of all ranks needs the gradient of every rank's loss with respect to
every projection; ``torch.distributed.all_gather`` passes none.

Scale: every rank computes the same loss over the same gathered batch, so the sum over ranks of
the gradients with respect to one rank's projections is R times the single-process gradient.
DistributedDataParallel then *averages* parameter gradients over the R ranks, which takes the
factor out again: after DDP the gradient is that of one process with the whole batch. Without DDP,
divide by the number of ranks.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import distributed


def gather_with_gradient(x: torch.Tensor) -> torch.Tensor:
    """Concatenate a tensor over all ranks, in rank order; identity where there is one process.

    Args:
        x: (B, ...) with the same shape on every rank.

    Returns:
        (R·B, ...). Its backward sums the gradients of all ranks and keeps this rank's part.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    return cast(torch.Tensor, _Gather.apply(x))  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.n_examples = x.shape[0]
        mine = x.contiguous()
        parts = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, mine)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        start = distributed.get_rank() * ctx.n_examples
        return total[start : start + ctx.n_examples]
