"""BatchNorm over ranks: same names, refused where torch has none, the whole batch's statistics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from tiny_ranks import free_port
from tiny_suite import COMPARISON, DAT, run
from torch import nn

from manifests.errors import UsageError
from trainer.compute import Compute
from trainer.config import ModelConfig, StepConfig, SystemConfig
from trainer.models.heads import DomainClassifier
from trainer.models.registry import new_encoder
from trainer.models.samplecnn import SampleCNN
from trainer.runs.distributed import World, average_buffers, average_gradients, joined_world
from trainer.sync_batchnorm import check_sync_batchnorm, with_batchnorm

ON, TWO = StepConfig(sync_batchnorm="on"), World(0, 2)


def networks() -> list[nn.Module]:
    torch.manual_seed(0)
    shortchunk = new_encoder(ModelConfig(backbone="shortchunk", width=0.03))
    return [SampleCNN(0.03), shortchunk, DomainClassifier(15)]


@pytest.mark.parametrize("number", range(3))
def test_names_parameters_and_statistics_stay(number: int) -> None:
    plain, ours = networks()[number], networks()[number]
    parameters = dict(ours.named_parameters())
    shared = with_batchnorm(ours, ON, TWO)
    layers = [m for m in shared.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert layers and all(isinstance(layer, nn.SyncBatchNorm) for layer in layers)
    assert list(shared.state_dict()) == list(plain.state_dict())
    assert dict(shared.named_parameters()).keys() == parameters.keys()
    for name, parameter in shared.named_parameters():
        assert parameter is parameters[name], "an optimizer made before holds the same ones"
    plain.load_state_dict(shared.state_dict())
    shared.load_state_dict(plain.state_dict())


def test_in_one_process_it_computes_what_batchnorm_does() -> None:
    """No group of processes is joined here, so that torch takes its plain way."""
    plain, shared = networks()[0], with_batchnorm(networks()[0], ON, TWO)
    x = torch.randn(3, 1, 59_049)
    for a, b in ((plain, shared), (plain.eval(), shared.eval())):
        torch.testing.assert_close(a(x), b(x))
    for (name, a), b in zip(plain.state_dict().items(), shared.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


@pytest.mark.parametrize(("step", "world"), [(StepConfig(), TWO), (ON, World())])
def test_one_rank_or_off_changes_nothing(step: StepConfig, world: World) -> None:
    net = networks()[0]
    before = [type(module) for module in net.modules()]
    assert with_batchnorm(net, step, world) is net
    assert [type(module) for module in net.modules()] == before


def test_a_cpu_is_refused_before_anything_is_trained(suite: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a CUDA device, got cpu"):
        check_sync_batchnorm(ON, torch.device("cpu"))
    check_sync_batchnorm(ON, torch.device("cuda"))
    check_sync_batchnorm(StepConfig(), torch.device("cpu"))
    for method, options in (("dat", DAT), ("baseline", COMPARISON)):
        result = run(method, "--shards", suite, "--out", tmp_path / method, *options,
                     "--sync-batchnorm", "on")  # fmt: skip
        assert result.exit_code == 2, result.output
        assert "train: --sync-batchnorm on: expected a CUDA device, got cpu" in result.output
        assert not (tmp_path / method).exists()


def test_auto_does_not_compile_what_breaks_its_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: ("compiled", module))
    monkeypatch.setattr("trainer.compute.finds_c_compiler", lambda: True)
    gpu = Compute(torch.device("cuda"), TWO, SystemConfig())
    net = networks()[0]
    assert gpu.compiled(net) == ("compiled", net)
    shared = with_batchnorm(net, ON, TWO)
    assert gpu.compiled(shared) is shared
    on = Compute(torch.device("cuda"), TWO, SystemConfig(compile="on"))
    assert on.compiled(shared) == ("compiled", shared)


def half(rank: int, port: int, out: str) -> None:
    """One of two GPUs takes half of a batch."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    device = torch.device("cuda", rank)
    with joined_world(device, timeout_s=60) as world:
        net = with_batchnorm(networks()[0].to(device), ON, world)
        net(batch().chunk(2)[rank].to(device)).square().mean().backward()
        average_gradients(net.parameters(), world)
        before = [buffer.clone() for buffer in net.buffers()]
        average_buffers([net], world)
        for a, b in zip(before, net.buffers(), strict=True):
            torch.testing.assert_close(a, b, msg="ranks agree without being averaged")
        found: dict[str, Any] = {"state": {k: v.cpu() for k, v in net.state_dict().items()}}
        found["gradients"] = [p.grad.cpu() for p in net.parameters() if p.grad is not None]
        torch.save(found, f"{out}/{rank}")


def batch() -> torch.Tensor:
    return torch.randn(8, 1, 59_049, generator=torch.Generator().manual_seed(5))


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_normalise_as_one_with_the_whole_batch(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(
        half, (free_port(), str(tmp_path)), nprocs=2, start_method="spawn"
    )
    one = networks()[0].cuda()
    one(batch().cuda()).square().mean().backward()
    for rank in range(2):
        found = torch.load(tmp_path / str(rank), weights_only=True)
        for name, value in one.state_dict().items():
            torch.testing.assert_close(found["state"][name], value.cpu(), rtol=1e-3, atol=1e-4)
        gradients = zip(found["gradients"], one.parameters(), strict=True)
        for gradient, parameter in gradients:
            assert parameter.grad is not None
            torch.testing.assert_close(gradient, parameter.grad.cpu(), rtol=1e-2, atol=1e-4)
