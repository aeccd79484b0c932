"""Where a run computes."""

from __future__ import annotations

import pytest
import torch

from manifests.errors import UsageError
from trainer.device import choose_device


def cuda(monkeypatch: pytest.MonkeyPatch, n_devices: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, 0)
    assert choose_device() == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match="expected a CUDA device, torch finds none; use cpu"):
        choose_device("cuda")


def test_with_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, 2)
    assert choose_device("auto", local_rank=1) == torch.device("cuda", 1)
    assert choose_device("cuda") == torch.device("cuda", 0)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cpu", local_rank=1) == torch.device("cpu")
    with pytest.raises(UsageError, match="cuda:2: expected one of 2 CUDA devices"):
        choose_device("auto", local_rank=2)
    with pytest.raises(UsageError, match="device 'tpu': expected auto, cpu, cuda or cuda:N"):
        choose_device("tpu")
