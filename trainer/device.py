"""Where a run computes: the CPU or a CUDA device."""

from __future__ import annotations

import torch

from manifests.errors import UsageError


def choose_device(name: str = "auto", *, local_rank: int = 0) -> torch.device:
    """Return the device of this process.

    Args:
        name: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        local_rank: number of this process on its machine; ``auto`` and ``cuda`` take the device
            of that number.

    Raises:
        UsageError: unknown name, or there is no such device.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if name not in ("auto", "cuda") and not name.removeprefix("cuda:").isdecimal():
        raise UsageError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise UsageError(f"device {name}: expected a CUDA device, torch finds none; use cpu")
    number = local_rank if name in ("auto", "cuda") else int(name.removeprefix("cuda:"))
    if number >= torch.cuda.device_count():
        raise UsageError(
            f"device cuda:{number}: expected one of {torch.cuda.device_count()} CUDA devices; "
            "start fewer processes per machine or name another"
        )
    return torch.device("cuda", number)
