"""Buffers, e.g. BatchNorm's running statistics, over passes that must leave no trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import nn


@contextlib.contextmanager
def buffers_kept(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Put all buffers back as they were, for a pass that is no step of training.

    Args:
        networks: whose buffers; changed in place meanwhile.
    """
    buffers = [buffer for network in networks for buffer in network.buffers()]
    before = [buffer.clone() for buffer in buffers]
    yield
    with torch.no_grad():
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
