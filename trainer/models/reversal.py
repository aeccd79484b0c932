"""Gradient reversal: the one operation that turns a classifier's loss into an adversary's.

Ganin & Lempitsky 2015 (arXiv:1409.7495), equations 10-11: R(x) = x, dR/dx = -w·I. Behind it the
total loss has *plus* signs; subtracting the domain loss as well would cancel the reversal
(METHOD.md section 4, pitfall 1). The weight acts on the encoder alone, so the domain classifier
trains at weight 1 whatever λ and α are.
"""

from __future__ import annotations

from typing import Any, cast

import torch


def reverse_gradient(x: torch.Tensor, weight: float | torch.Tensor) -> torch.Tensor:
    """Pass values on unchanged, and their gradient times -weight.

    Args:
        x: embeddings of any shape.
        weight: λ·α, a number or a 0-d tensor; takes no gradient itself.

    Returns:
        The values of ``x``.
    """
    return cast(torch.Tensor, _Reversal.apply(x, weight))  # type: ignore[no-untyped-call]


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: float | torch.Tensor) -> torch.Tensor:
        ctx.weight = weight.detach() if isinstance(weight, torch.Tensor) else weight
        return x.view_as(x)  # returning x itself would let autograd skip this node

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0].neg() * ctx.weight, None
