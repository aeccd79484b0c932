"""The small networks on top of the embedding h: projector, domain classifier, label predictor.

Sizes are those of METHOD.md section 6, rows 6, 8 and 9: the paper and the thesis leave them open,
so each has the size of the code it descends from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from manifests.errors import UsageError


class Projector(nn.Module):
    """Projection z of h for the contrastive loss; 294,912 parameters at the default sizes.

    Linear - ReLU - Linear without biases (Spijkervet/SimCLR ``simclr/simclr.py``). Used in stage 1
    only: everything downstream reads h.

    Args:
        n_features: size of h, and of the hidden layer.
        n_out: size of z.
    """

    def __init__(self, n_features: int = 512, n_out: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, n_features, bias=False),
            nn.ReLU(),
            nn.Linear(n_features, n_out, bias=False),
        )

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Project embeddings (B, n_features) to (B, n_out)."""
        return cast(torch.Tensor, self.layers(embedding))


class DomainClassifier(nn.Module):
    """Says whether an embedding came from clean or from noisy audio: source = 0, target = 1.

    Linear(512, 100) - BatchNorm - ReLU - Linear(100, 1) by default, as fungtion/DANN; hidden sizes
    (1024, 1024) give the classifier of Ganin et al. 2016 and of TLLib. Where it is too strong for
    the encoder, TLLib's maintainers advise dropout instead of BatchNorm (thuml/TLLib#267).

    Give it source and target in *one* concatenated batch: forwarded separately in train mode, each
    domain is normalised by its own mean, which is most of what the classifier should see.

    Args:
        n_features: size of h.
        hidden: size of each hidden layer; none leaves a linear classifier.
        dropout: probability of dropout after each hidden layer.
        batchnorm: whether each hidden layer is normalised.

    Raises:
        UsageError: if the dropout is not in [0, 1).
    """

    def __init__(
        self,
        n_features: int = 512,
        hidden: Sequence[int] = (100,),
        dropout: float = 0.0,
        batchnorm: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise UsageError(
                f"dropout: expected a probability in [0, 1), got {dropout}; 0 turns it off"
            )
        layers: list[nn.Module] = []
        for n_in, n_out in zip((n_features, *hidden), hidden, strict=False):
            layers.append(nn.Linear(n_in, n_out))
            if batchnorm:
                layers.append(nn.BatchNorm1d(n_out))
            layers.append(nn.ReLU())
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear((n_features, *hidden)[-1], 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Classify embeddings (B, n_features): logits of "noisy", (B,)."""
        return cast(torch.Tensor, self.layers(embedding)).squeeze(1)


class LabelPredictor(nn.Module):
    """Tags of an embedding: Linear - ReLU - Linear, CLMR's ``finetuner_mlp`` head.

    Args:
        n_features: size of h.
        n_tags: number of tags.
        hidden: size of the hidden layer.
    """

    def __init__(self, n_features: int, n_tags: int, hidden: int = 512) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, n_tags)
        )

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Predict tags of embeddings (B, n_features): logits, (B, n_tags)."""
        return cast(torch.Tensor, self.layers(embedding))
