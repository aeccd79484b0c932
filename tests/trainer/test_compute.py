"""How a run computes: cores, lost ranks, levels, compilation."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest
import torch
from torch import nn

from manifests.errors import ManifestError
from trainer import compute
from trainer.compute import Compute, open_compute, prepared, shared_cores
from trainer.config import ModelConfig, SystemConfig
from trainer.models.samplecnn import SampleCNN
from trainer.runs.distributed import World

CPU = SystemConfig(device="cpu")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def one(system: SystemConfig = CPU) -> Compute:
    return Compute(torch.device("cpu"), World(), system)


@pytest.mark.parametrize(
    ("cores", "size", "local", "threads", "expected"),
    [
        (8, 1, "", "", 8),
        (8, 3, "", "", 2),
        (2, 4, "", "", 1),
        (8, 16, "4", "", 2),
        (8, 16, "x", "", 1),
        (8, 2, "0", "", 4),
        (8, 1, "", "2", 2),
        (8, 2, "", "4", 2),
        (8, 4, "", "2", 1),
        (8, 1, "", "0", 8),
        (8, 1, "", "4,2", 8),
        (8, 4, "4", "1", 2),
    ],
)
def test_processes_of_a_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, size: int, local: str, threads: str, expected: int
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert shared_cores(size) == expected


def test_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "shared_cores", lambda size: 2)
    with open_compute(SystemConfig(device="cpu", threads=1)) as found:
        assert torch.get_num_threads() == 1 and found.device.type == "cpu"
    with open_compute(CPU) as found:
        assert torch.get_num_threads() == 2 and found.world == World()


def test_the_device_that_is_asked_for_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the memory of --device cuda:1 is looked for on the first GPU."""
    current = list[torch.device]()
    second = torch.device("cuda", 1)
    monkeypatch.setattr(compute, "choose_device", lambda name, **_: second)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    with open_compute(SystemConfig(device="cuda:1")) as found:
        assert found.device == second
    assert current == [second]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [::1]:1", True),
        ("NCCL error: remote process exited", True),
        ("shape mismatch", False),
        ("", False),
    ],
)
def test_a_lost_rank_is_named(monkeypatch: pytest.MonkeyPatch, text: str, ours: bool) -> None:
    monkeypatch.setattr(compute, "environment", lambda: (0, 2, 0))
    monkeypatch.setattr(compute, "joined_world", alone)
    expected = ManifestError if ours else RuntimeError
    with pytest.raises(expected) as error, open_compute(CPU):
        raise RuntimeError(text)
    assert ("expected all 2 processes to the end of the run, lost one" in str(error.value)) == ours


def test_a_late_rank_is_told_from_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "environment", lambda: (0, 2, 0))
    monkeypatch.setattr(compute, "joined_world", alone)
    message = r"expected an answer of all 2 processes within 600 s \(--rank-timeout-s\)"
    with pytest.raises(ManifestError, match=message), open_compute(CPU):
        raise RuntimeError("Timed out waiting for recv")


class alone:  # noqa: N801
    """Stands for ``joined_world``."""

    def __init__(self, device: torch.device, *, timeout_s: float) -> None:
        del device, timeout_s

    def __enter__(self) -> World:
        return World()

    def __exit__(self, *_: object) -> None:
        return None


def test_one_process_alone_keeps_its_errors() -> None:
    with pytest.raises(RuntimeError, match="Connection reset by peer"), open_compute(CPU):
        raise RuntimeError("Connection reset by peer")


def test_every_step_has_draws_of_its_own() -> None:
    def draw(step: int, rank: int = 0, seed: int = 0) -> float:
        Compute(torch.device("cpu"), World(rank, 2), CPU).seed_batch(seed, step)
        return float(torch.rand(()))

    found = [draw(0), draw(1), draw(0, rank=1), draw(0, seed=1)]
    assert len(set(found)) == 4
    torch.rand(7)
    assert draw(1) == found[1]


def test_levels() -> None:
    x = 0.3 * torch.randn(2, 1, 500)
    assert prepared(ModelConfig(input_level="asis"))(x) is x
    levelled = prepared(ModelConfig(level_dbfs=-26.0))(x)
    rms = levelled.square().mean(dim=(1, 2)).sqrt()
    torch.testing.assert_close(rms, torch.full((2,), 10 ** (-26 / 20)))


def test_precision_that_is_asked_for_is_not_timed(tmp_path: Path) -> None:
    def never() -> torch.Tensor:
        raise AssertionError("timed")

    for name in ("float32", "bfloat16"):
        assert one(SystemConfig(precision=name)).precision_of(never, [], tmp_path) == name  # type: ignore[arg-type]


def test_a_precision_once_chosen_is_kept_before_any_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed at its first step does not time anew, on a machine that is now busy."""
    layer = nn.Linear(2, 2)
    chosen = iter((torch.bfloat16, torch.float32))
    monkeypatch.setattr(compute, "choose_precision", lambda *_, **__: next(chosen))

    def ask(**system: str) -> str:
        asked = one(SystemConfig(**system))  # type: ignore[arg-type]
        return asked.precision_of(lambda: layer.weight.sum(), [layer], tmp_path)

    assert [ask(), ask()] == ["bfloat16", "bfloat16"]
    assert [ask(precision="float32"), ask()] == ["float32", "float32"], "what was asked for last"
    (tmp_path / "precision.json").write_text('{"precision": "float8"}')
    with pytest.raises(ManifestError, match="expected a precision of float32, bfloat16, got 'floa"):
        ask()


def test_autocast() -> None:
    layer, x = nn.Linear(3, 3), torch.randn(2, 3)
    with one().autocast("float32"):
        assert layer(x).dtype is torch.float32
    with one().autocast("bfloat16"):
        assert layer(x).dtype is torch.bfloat16


def test_compilation_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or nn.Identity())
    module = nn.Linear(2, 2)
    for wanted, on_cpu in (("off", False), ("auto", False), ("on", True)):
        found = one(SystemConfig(compile=wanted)).compiled(module)  # type: ignore[arg-type]
        assert (found is not module) == on_cpu
    assert compiled == [module]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_encoder_gives_the_same_gradients(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")  # torch.compile logs every graph
    torch.manual_seed(0)
    plain = SampleCNN(0.03)
    own = copy.deepcopy(plain)
    compiled = one(SystemConfig(compile="on")).compiled(own)
    x, weight = 0.1 * torch.randn(8, 1, 59_049), torch.randn(8, plain.n_features)
    for network in (plain, compiled):
        (network(x) * weight).sum().backward()
    for (name, a), b in zip(plain.named_parameters(), own.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        if "conv.bias" not in name:  # BatchNorm takes biases out again: their gradient is rounding
            assert (a.grad - b.grad).norm() < 0.03 * a.grad.norm(), name
    for a, b in zip(plain.buffers(), own.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    compiled.eval()
    assert not own.training
