"""The exact gradient of a loss over many batches, with the memory of one.

NT-Xent couples all examples of a step, so its gradient is no sum over batches: with negatives from
each batch alone, accumulation would not make the task any harder. GradCache (Gao et al. 2021,
arXiv:2101.06983) splits it by the chain rule instead. With z_i the projections of batch i and θ
the parameters, dL/dθ = Σ_i (dL/dz_i)(dz_i/dθ): all z_i first, without graphs; then dL/dz_i, for
which the loss needs nothing but the z_i; then batch by batch forward once more and backward from
dL/dz_i. The price is the second forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

from trainer.models.buffers import buffers_kept

PartT = TypeVar("PartT")


def backward_in_parts(
    parts: Sequence[PartT],
    embed: Callable[[PartT], torch.Tensor],
    loss_of: Callable[[Sequence[torch.Tensor]], torch.Tensor],
    networks: Sequence[nn.Module],
) -> torch.Tensor:
    """Add the gradient of a loss over all parts to the parameters, holding one graph at a time.

    A single part takes the plain way, one forward and one backward pass.

    Args:
        parts: what is embedded, a batch each.
        embed: projections of a part, (B, D); it must give the same ones when it is called again,
            so it seeds whatever it draws from.
        loss_of: the loss of the projections of all parts, in order.
        networks: the networks behind ``embed``: their running statistics see every part once.

    Returns:
        The loss, 0-d, without graph.
    """
    if len(parts) == 1:
        loss = loss_of([embed(parts[0])])
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
    with torch.no_grad(), buffers_kept(networks):
        projections = [embed(part) for part in parts]
    for projection in projections:
        projection.requires_grad_()
    loss = loss_of(projections)
    for part, gradient in zip(parts, torch.autograd.grad(loss, projections), strict=True):
        embed(part).backward(gradient)  # type: ignore[no-untyped-call]
    return loss.detach()
