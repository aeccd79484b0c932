"""How a run computes: device, precision, threads, compilation, and the level of every input."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import joblib
import torch
from torch import nn

from manifests.canonical import hash64
from manifests.errors import ManifestError
from trainer.allocator import keep_freed_memory
from trainer.compiler import finds_c_compiler, named_compiler_failure
from trainer.config import ModelConfig, SystemConfig
from trainer.data.shard_cache import ShardCacheConfig, shard_cache_config
from trainer.device import choose_device
from trainer.level import scale_to_rms
from trainer.models.buffers import buffers_kept
from trainer.precision import choose_precision
from trainer.runs.distributed import World, environment, joined_world
from trainer.runs.noted_precision import note_precision, noted_precision
from trainer.runs.writing import written_to

logger = logging.getLogger(__name__)

_LATE: Final = ("imed out", "imeout")
_LOST: Final = ("onnection", "gloo", "NCCL", "peer", *_LATE)
"""In the messages of gloo and NCCL where another rank is late, or gone."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Compute:
    """The machine as a stage sees it.

    Attributes:
        device: where networks and batches live.
        world: the processes that train together.
        system: the options.
    """

    device: torch.device
    world: World
    system: SystemConfig

    @functools.cached_property
    def shard_cache(self) -> ShardCacheConfig | None:
        """The cache of ``--shard-cache``, one for all that a run reads; None without.

        Raises:
            UsageError: its folder is a URL, or cannot be made.
        """
        return shard_cache_config(self.system.shard_cache, self.system.shard_cache_gb)

    def autocast(self, precision: str) -> AbstractContextManager[object]:
        """Return the context in which networks compute in a precision."""
        if precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[precision])

    def precision_of(
        self, loss: Callable[[], torch.Tensor], networks: Sequence[nn.Module], run: Path
    ) -> str:
        """Return the precision to train in, and note it in the stage's folder.

        ``auto`` takes what was noted before, else it times forward and backward in each precision.
        Statistics, gradients and random draws of the trials are taken back, so the choice changes
        nothing but the speed and the rounding.

        Args:
            loss: returns a loss of the networks.
            networks: the networks behind it.
            run: the stage's folder.

        Raises:
            ManifestError: what was noted is no precision, or the disk is full.
        """
        asked = self.system.precision
        chosen = noted_precision(run) if asked == "auto" else asked
        if chosen is None:
            chosen = self._faster(loss, networks)
        if self.world.is_main:
            with written_to(run):
                note_precision(run, chosen)
        return chosen

    def _faster(self, loss: Callable[[], torch.Tensor], networks: Sequence[nn.Module]) -> str:
        devices = [self.device] if self.device.type == "cuda" else []

        def step(dtype: torch.dtype) -> None:
            name = next(name for name, value in _DTYPES.items() if value is dtype)
            with self.autocast(name):
                value = loss()
            value.backward()  # type: ignore[no-untyped-call]
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        with torch.random.fork_rng(devices), buffers_kept(networks):
            fastest = choose_precision(step, n_timed=1)
        for network in networks:
            network.zero_grad(set_to_none=True)
        if self.world.size > 1:  # all ranks compute in the precision that rank 0 found faster
            chosen = self.world.gather_counts(int(fastest is torch.bfloat16))[0]
            return "bfloat16" if chosen else "float32"
        return "bfloat16" if fastest is torch.bfloat16 else "float32"

    def seed_batch(self, seed: int, number: int) -> None:
        """Seed torch's global generators, which dropout draws from, for one batch of this rank.

        Their state in a checkpoint would not do: every DataLoader that starts, for a validation or
        on resume, draws a number of its own from them.
        """
        torch.manual_seed(hash64(seed, "step", number, self.world.rank) >> 1)

    def compiled(self, module: nn.Module) -> nn.Module:
        """Return the module as it is called in training, compiled where that is asked for.

        Parameters, buffers and mode stay those of the module itself. ``auto`` leaves a network
        with SyncBatchNorm alone: torch.compile breaks its graph at every one (pytorch#161302); and
        all networks where there is no C compiler, which Triton asks for at run time.
        """
        wanted = self.system.compile
        gains = self.device.type == "cuda" and not any(
            isinstance(part, nn.SyncBatchNorm) for part in module.modules()
        )
        if wanted == "auto" and gains and not finds_c_compiler():
            logger.warning(
                "--compile auto: no C compiler found (CC, clang, gcc), so nothing is compiled; "
                "install gcc for speed, or say --compile off"
            )
            gains = False
        if wanted == "on" or (wanted == "auto" and gains):
            logger.info("compiling: the first steps take a minute; --compile off begins at once")
            called: nn.Module = torch.compile(module)  # type: ignore[assignment]
            return called
        return module


@contextlib.contextmanager
def open_compute(system: SystemConfig) -> Iterator[Compute]:
    """Choose the device, join the other processes of ``torchrun``, set the threads.

    Raises:
        UsageError: no such device, or an incomplete environment of torchrun.
        ManifestError: another process of the run ended before its work was done; or torch.compile
            failed.
    """
    _, size, local_rank = environment()
    device = choose_device(system.device, local_rank=local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # memory is asked for of the current one
    if device.type == "cpu":
        keep_freed_memory()
        torch.set_num_threads(system.threads or shared_cores(size))
    with (
        _named_loss(size, system.rank_timeout_s),
        joined_world(device, timeout_s=system.rank_timeout_s) as world,
        named_compiler_failure(),
    ):
        yield Compute(device, world, system)


def shared_cores(size: int) -> int:
    """Return how many cores this process has for itself, at least 1.

    They are shares of the cores that affinity and a container's quota leave (joblib.cpu_count), or
    of ``OMP_NUM_THREADS``. Not under torchrun, which sets that to 1 itself where nobody has.

    Args:
        size: processes of the run, for where torchrun does not say how many are on this machine.
    """
    cores: int = joblib.cpu_count()
    local, threads = (os.environ.get(n, "") for n in ("LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"))
    if local.isdecimal() and int(local) > 0:
        return max(cores // int(local), 1)
    if threads.isdecimal() and int(threads) > 0:
        cores = int(threads)
    return max(cores // size, 1)


@contextlib.contextmanager
def _named_loss(size: int, timeout_s: float) -> Iterator[None]:
    """Say what the failure of an exchange means: gloo and NCCL only name sockets."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).splitlines()[0] if str(error) else ""
        if size == 1 or not any(word in text for word in _LOST):
            raise
        if any(word in text for word in _LATE):
            raise ManifestError(
                f"ranks: expected an answer of all {size} processes within {timeout_s:g} s "
                f"(--rank-timeout-s), one gave none: {text}; end those that hang, then run the "
                "same command again to go on"
            ) from error
        raise ManifestError(
            f"ranks: expected all {size} processes to the end of the run, lost one: {text}; look "
            "for its own message, then run the same command again to go on"
        ) from error


def prepared(model: ModelConfig) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what every model input goes through: (B, 1, T) to the same shape."""
    if model.input_level == "asis":
        return _as_is
    return _Scaled(model.level_dbfs)


def _as_is(audio: torch.Tensor) -> torch.Tensor:
    return audio


@dataclass(frozen=True)
class _Scaled:
    level_dbfs: float

    def __call__(self, audio: torch.Tensor) -> torch.Tensor:
        return scale_to_rms(audio, self.level_dbfs)
