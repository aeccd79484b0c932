"""BatchNorm over the batches of all ranks, as an option.

Without it every rank normalises by its own batch, as DistributedDataParallel does too. Batches of
48 are large enough for that; small ones, for large chunks or backbones, are not.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from manifests.errors import UsageError
from trainer.config import StepConfig
from trainer.runs.distributed import World

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def check_sync_batchnorm(step: StepConfig, device: torch.device) -> None:
    """Check that the device has what is asked for, before a run begins.

    Raises:
        UsageError: torch has no SyncBatchNorm for the device.
    """
    if step.sync_batchnorm == "on" and device.type != "cuda":
        raise UsageError(
            f"--sync-batchnorm on: expected a CUDA device, got {device.type}, for which torch has "
            "no SyncBatchNorm; leave it off (each rank then normalises by its own batch), or use "
            "a larger --batch-size"
        )


def with_batchnorm(network: ModuleT, step: StepConfig, world: World) -> ModuleT:
    """Return a network with the BatchNorm that is asked for.

    Args:
        network: on its device; its BatchNorm layers are replaced in place. Parameters, buffers and
            all their names stay, so checkpoints fit runs with and without.
        step: whether ranks share their statistics.
        world: the ranks; one alone has nothing to share.
    """
    if step.sync_batchnorm == "off" or world.size == 1:
        return network
    shared: ModuleT = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return shared
