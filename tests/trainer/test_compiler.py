"""A machine without a C compiler trains all the same, or says what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from tiny_suite import COMPARISON, start
from torch import nn

from manifests.errors import ManifestError
from trainer.compiler import finds_c_compiler, named_compiler_failure
from trainer.compute import Compute
from trainer.config import SystemConfig
from trainer.runs.distributed import World


@pytest.mark.parametrize(
    ("programs", "named", "found"),
    [
        ((), "", False),
        (("gcc",), "", True),
        (("clang",), "", True),
        (("cc",), "", False),
        (("gcc",), "/nonexistent/gcc", False),
        (("mycc",), "mycc", True),
    ],
)
def test_auto_compiles_on_a_gpu_where_triton_finds_a_compiler(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    programs: tuple[str, ...],
    named: str,
    found: bool,
) -> None:
    for program in programs:
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", named)
    monkeypatch.setattr(torch, "compile", lambda module: nn.Sequential(module))
    assert finds_c_compiler() == found
    module = nn.Linear(2, 2)
    called = Compute(torch.device("cuda"), World(), SystemConfig()).compiled(module)
    assert (called is not module) == found
    assert ("no C compiler found (CC, clang, gcc)" in caplog.text) != found


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"), named_compiler_failure():
        raise RuntimeError("shape mismatch")
    failed = type("BackendCompilerFailed", (RuntimeError,), {})
    with pytest.raises(ManifestError, match="train with --compile off"), named_compiler_failure():
        raise failed("backend='inductor' raised:\nno compiler")


@pytest.mark.slow
def test_a_compiler_that_fails_is_named_with_what_helps(suite: Path, tmp_path: Path) -> None:
    options = (*COMPARISON, "--encoder", "random", "--compile", "on")
    process = start(
        ("baseline", "--shards", suite, "--out", tmp_path / "run", *options),
        CXX="/nonexistent/g++",
        TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"),
        PATH=os.environ["PATH"],
    )
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "train: torch.compile: expected the encoder compiled" in output
    assert "--compile off" in output and "Traceback" not in output
