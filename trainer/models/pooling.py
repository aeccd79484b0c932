"""Attention pooling: which chunks of a file speak for a tag.

A file is a bag of chunks, and its tags are the bag's: a tag may hold in few of them, and noise may
cover others. Gated attention (Ilse, Tomczak & Welling 2018, arXiv:1802.04712, eq. 9) weighs the
chunks, with a weight per tag instead of one for all; what it weighs are the chunks' probabilities,
not their embeddings (decision-level attention, Kong et al. 2018, arXiv:1711.00927):

    p_t = sum_k w_kt sigmoid(l_kt) / sum_k w_kt,
    w_kt = exp(a_kt),   a_k = W (tanh(V h_k) * sigmoid(U h_k))

W begins at zero: every weight is 1 and p the mean of the sigmoids, exactly. It has no bias, which
would cancel in the quotient. V and U have, as in the authors' code.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn

HIDDEN: Final = 128
"""Size of the hidden layer in the paper's code."""


class AttentionPooling(nn.Module):
    """Weights of the chunks of a bag, for each tag.

    Args:
        n_features: size of the embeddings h.
        n_tags: number of tags.
        hidden: size of the hidden layer.
    """

    def __init__(self, n_features: int, n_tags: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.content = nn.Linear(n_features, hidden)  # V
        self.gate = nn.Linear(n_features, hidden)  # U
        self.score = nn.Linear(hidden, n_tags, bias=False)  # W
        nn.init.zeros_(self.score.weight)

    def scores(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return a, (..., n_chunks, n_tags), of embeddings (..., n_chunks, n_features)."""
        hidden = torch.tanh(self.content(embeddings)) * torch.sigmoid(self.gate(embeddings))
        found: torch.Tensor = self.score(hidden)
        return found

    def forward(self, embeddings: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the weights of the chunks, the largest of each bag and tag being 1.

        Args:
            embeddings: (..., n_chunks, n_features).
            mask: (..., n_chunks), False where a bag has no such chunk; each has one at least.

        Returns:
            (..., n_chunks, n_tags), 0 where the mask is False.
        """
        scores = self.scores(embeddings)
        if mask is not None:
            scores = scores.masked_fill(~mask[..., None], -math.inf)
        # A factor common to a bag's weights cancels, so the largest needs no gradient.
        return (scores - scores.detach().amax(dim=-2, keepdim=True)).exp()


def pooled(probabilities: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the probabilities of bags, (..., n_tags): the weighted means over their chunks.

    With equal weights it is the mean to the bit, which weights that were made to sum to 1 first
    would not be. No mean is above 1: term by term, the numerator rounds to no more than the
    denominator.

    Args:
        probabilities: of the chunks, (..., n_chunks, n_tags).
        weights: the same shape, at least 0, not all of a bag's 0.
    """
    return (weights * probabilities).sum(dim=-2) / weights.sum(dim=-2)
