"""BatchNorm folded into the linear map in front of it, without looking at what the map gives.

The first layer of SampleCNN maps triples of samples t to channels, y = W t + b. Over a batch the
channels' means and variances follow from those of the triples, which are three numbers a frame
instead of a hundred channels:

    mean(y) = W mean(t) + b        var(y) = diag(W cov(t) Wᵀ)

So γ (y - mean(y)) / √(var(y) + ε) + β is one linear map of t, whose weights are computed before
any activation is. The largest activation of the network is then neither read for its statistics
nor written a second time, forward and backward, and autograd takes the gradients through the small
matrices. In eval mode the running statistics take the place of the batch's, and the same holds
behind any map (``fixed``).
"""

from __future__ import annotations

import torch
from torch import nn


def folded(
    triples: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, norm: nn.BatchNorm1d
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias of the normalised map; updates running statistics when training.

    Args:
        triples: what is mapped, (N, n_in).
        weight: of the map, (C, n_in).
        bias: of the map, (C,).
        norm: normalises its C channels.

    Returns:
        (C, n_in) and (C,), in the type of the parameters.
    """
    with torch.autocast(triples.device.type, enabled=False):
        if not norm.training:
            return fixed(weight, bias, norm)
        mean_in, cov = _moments(triples)
        wide = weight.double()
        mean = (wide @ mean_in).to(weight.dtype) + bias
        variance = ((wide @ cov) * wide).sum(dim=1).to(weight.dtype)
        _update(norm, mean.detach(), variance.detach(), len(triples))
        return _normalised(weight, bias, norm, mean, variance)


def fixed(
    weight: torch.Tensor, bias: torch.Tensor, norm: nn.BatchNorm1d
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight (C, ...) and bias (C,) of a map normalised by the running statistics."""
    assert norm.running_mean is not None and norm.running_var is not None
    return _normalised(weight, bias, norm, norm.running_mean, norm.running_var)


def _normalised(
    weight: torch.Tensor,
    bias: torch.Tensor,
    norm: nn.BatchNorm1d,
    mean: torch.Tensor,
    variance: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    rows = scale.view(-1, *(1 for _ in weight.shape[1:]))
    return rows * weight, norm.bias + scale * (bias - mean)


def _moments(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean (n,) and covariance (n, n) of N rows, N much greater than n, in float64.

    Neighbouring samples are almost equal, and W may take their difference. Column by column: the
    copies and products of torch.cov on so narrow a matrix take four times as long.
    """
    columns = [column.contiguous().double() for column in rows.unbind(1)]
    means = [column.mean() for column in columns]
    centred = [column - mean for column, mean in zip(columns, means, strict=True)]
    products = [torch.dot(a, b) for a in centred for b in centred]
    cov = torch.stack(products).view(len(columns), len(columns)) / len(rows)
    return torch.stack(means), cov


@torch.no_grad()
def _update(norm: nn.BatchNorm1d, mean: torch.Tensor, variance: torch.Tensor, n: int) -> None:
    """Move the running statistics as torch does: the variance kept is the unbiased one."""
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    share = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance * (n / (n - 1)), share)
