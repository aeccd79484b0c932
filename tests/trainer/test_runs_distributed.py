"""Several processes: the same gradients as one, and nobody waits for ever."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from torch import distributed, nn

from manifests.errors import ManifestError, UsageError
from trainer.runs.distributed import (
    World,
    average_buffers,
    average_gradients,
    broadcast_modules,
    environment,
    joined_world,
)

SIZE = 3


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def child(rank: int, port: int, work: Callable[[World], dict[str, Any]], out: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(SIZE), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with joined_world(torch.device("cpu"), timeout_s=60) as world:
        torch.save(work(world), f"{out}/{rank}")


def net() -> nn.Sequential:
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    return layers.to(memory_format=torch.channels_last)


def exchange(world: World) -> dict[str, Any]:
    torch.manual_seed(world.rank)
    model, unused, frozen = net(), nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)
    broadcast_modules([model], world)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.arange(SIZE * 4 * 16.0).reshape(SIZE, 4, 1, 4, 4).sin()
    model[1].eval()
    model(x[world.rank]).square().mean().backward()
    if world.rank == 0:
        unused(torch.ones(1, 2)).sum().backward()
    average_gradients([*model.parameters(), *unused.parameters(), *frozen.parameters()], world)
    model[1].running_mean.fill_(float(world.rank))
    average_buffers([model], world)
    rows = torch.full((world.rank, 2), float(world.rank))
    found = {
        "start": start,
        "gradients": [p.grad for p in model.parameters()],
        "unused": [p.grad for p in unused.parameters()],
        "frozen": [p.grad for p in frozen.parameters()],
        "buffer": model[1].running_mean,
        "counts": world.gather_counts(world.rank * 10),
        "rows": world.gather_rows(rows),
        "mean": world.mean([world.rank, 1.0]),
        "main": world.is_main,
        "x": x,
    }
    world.barrier()
    if world.rank == 1:
        # A rank that is busy elsewhere: the others must not wait for ever.
        time.sleep(2.0)
        return found
    try:
        replace(world, timeout_s=0.5).barrier()
    except ManifestError as error:
        found["late"] = str(error)
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ranks_agree(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(
        child, (free_port(), exchange, str(tmp_path)), nprocs=SIZE, start_method="forkserver"
    )
    found = [torch.load(tmp_path / str(rank), weights_only=True) for rank in range(SIZE)]

    torch.manual_seed(0)
    one = net()
    one[1].eval()
    one(found[0]["x"].flatten(0, 1)).square().mean().backward()
    for rank, result in enumerate(found):
        for name, value in result["start"].items():
            assert torch.equal(value, one.state_dict()[name]), name
        averaged = zip(result["gradients"], found[0]["gradients"], one.parameters(), strict=True)
        for gradient, first, parameter in averaged:
            torch.testing.assert_close(gradient, parameter.grad)
            assert torch.equal(gradient, first)
        assert torch.equal(result["unused"][0], torch.full((2, 2), 1 / 3))
        assert result["frozen"] == [None, None]
        assert torch.equal(result["buffer"], torch.ones(2))
        assert result["counts"] == [0, 10, 20]
        assert result["rows"].tolist() == [[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]]
        assert result["mean"] == [1.0, 1.0]
        assert result["main"] is (rank == 0)
    assert "expected all 3 ranks within 0.5 s" in found[0]["late"]
    assert "1" in found[0]["late"].split("0.5 s")[1]


def test_one_process_needs_no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    before = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    with joined_world(torch.device("cpu")) as world:
        assert world == World() and world.is_main
        assert not distributed.is_initialized()
        world.barrier()
        broadcast_modules([layer], world)
        average_buffers([layer], world)
        average_gradients(layer.parameters(), world)
        assert world.gather_counts(4) == [4]
        assert world.gather_rows(torch.ones(2, 1)).tolist() == [[1.0], [1.0]]
        assert world.mean([1, 2]) == [1.0, 2.0]
    for gradient, parameter in zip(before, layer.parameters(), strict=True):
        assert parameter.grad is not None and torch.equal(gradient, parameter.grad)


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(UsageError, match="expected numbers in RANK, WORLD_SIZE, LOCAL_RANK, got"):
        environment()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert environment() == (0, 2, 1)


def test_a_barrier_that_fails_names_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_group: object, *, timeout: timedelta, wait_all_ranks: bool) -> None:
        raise RuntimeError("Ranks 1 failed to pass monitoredBarrier")

    monkeypatch.setattr(distributed, "monitored_barrier", failing)
    with pytest.raises(ManifestError, match="rank 0: expected all 2 ranks within 5 s: Ranks 1"):
        World(0, 2, timeout_s=5).barrier()
