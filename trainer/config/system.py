"""How a run computes, and what one step of its optimizer is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SystemConfig:
    """Where and how a run computes; changes no figure beyond rounding.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` times a step of each and takes the faster; ``float32`` or ``bfloat16``.
            A stage keeps its own, in its precision.json; stage 2 is always float32.
        compile: ``auto`` compiles the encoder on a GPU where there is a C compiler, ``on``
            everywhere, ``off`` never.
        workers: decoding processes of a loader; 0 decodes in the training process.
        threads: CPU threads of the model; 0 shares the cores, or ``OMP_NUM_THREADS`` of
            them, among the processes of the machine.
        shard_cache: local folder that keeps shards of object stores (s3://...), each fetched whole
            once; processes may share it. Empty: members are read by byte ranges.
        shard_cache_gb: size limit of that folder, GB; shards that find no room are read by byte
            ranges.
        rank_timeout_s: how long a rank waits for the others of torchrun before it ends with a
            message, s.
    """

    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    workers: int = 1
    threads: int = 0
    shard_cache: str = ""
    shard_cache_gb: float = 100.0
    rank_timeout_s: float = 600.0


@dataclass(frozen=True)
class StepConfig:
    """What one step of the optimizer is made of, in every stage.

    Attributes:
        accumulate: batches of each rank whose gradients make one step. As one batch N times as
            large, but for BatchNorm, which sees each batch by itself. Stage 1 takes its negatives
            from all batches of the step, at the price of a second forward pass.
        sync_batchnorm: ``on``: BatchNorm normalises by the batches of all ranks together (GPUs
            only; nothing to do in one process); ``off``: by each rank's own, and the running
            statistics are averaged.
    """

    accumulate: int = 1
    sync_batchnorm: Literal["off", "on"] = "off"
