"""Stages 1, 2 and 4: encoder, domain classifier, pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Aggregation = Literal["mean", "attention"]


@dataclass(frozen=True)
class EncoderConfig:
    """Stage 1: contrastive pretraining.

    Attributes:
        epochs: passes over the excerpts.
        batch_size: excerpts of a batch on one rank, two views each.
        lr: Adam's learning rate.
        temperature: of NT-Xent.
        augment: whether CLMR's augmentation chain is applied.
        cross_domain: views are the clean and the noisy version of one crop instead of two crops
            of one version; without a pretraining set of the source half alone.
        validations: validations over the stage; each may become the best checkpoint.
    """

    epochs: int = 1000
    batch_size: int = 48
    lr: float = 3e-4
    temperature: float = 0.5
    augment: bool = True
    cross_domain: bool = False
    validations: int = 20


@dataclass(frozen=True)
class DomainConfig:
    """Stage 2: the domain classifier on the frozen encoder.

    Attributes:
        epochs: passes over the source half.
        batch_size: examples of each half in a batch on one rank.
        lr: Adam's learning rate.
        hidden: sizes of the classifier's hidden layers.
        dropout: dropout after each hidden layer.
        batchnorm: whether each hidden layer is normalised; where the classifier is too strong for
            the encoder, dropout instead is advised.
        validations: validations over the stage.
    """

    epochs: int = 50
    batch_size: int = 48
    lr: float = 1e-4
    hidden: tuple[int, ...] = (100,)
    dropout: float = 0.0
    batchnorm: bool = True
    validations: int = 10


@dataclass(frozen=True)
class PoolingConfig:
    """Stage 4: how the scores of a file's chunks become the file's.

    Attributes:
        aggregate: ``attention`` also trains attention pooling on bags of chunks, behind the
            finished tagger, which stays as it is; ``mean`` trains nothing.
        epochs: passes over the bags.
        batch_size: bags of a step on one rank; a bag is all whole chunks of one member of a clip.
        lr: Adam's learning rate.
        hidden: size of the attention's hidden layer.
        limit: clips of each half whose bags are taken, the first N of the set; 0 takes all.
        validations: validations over the stage, beside one before the first step.
    """

    aggregate: Aggregation = "mean"
    epochs: int = 20
    batch_size: int = 48
    lr: float = 1e-3
    hidden: int = 128
    limit: int = 0
    validations: int = 20

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.aggregate == "attention"
