"""Killed at any instant, or out of disk, a run keeps a whole checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import save_file
from tiny_training import OPTIMIZERS, Training

import trainer.runs.checkpoint as checkpoints
from manifests.errors import ManifestError
from trainer.runs.checkpoint import (
    load_checkpoint,
    save_checkpoint,
)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def interrupted(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Die at the ``at``-th call that touches the disk."""
    calls = iter(range(1_000))

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if next(calls) == at:
                raise Killed
            return real(*arguments, **options)

        return call

    monkeypatch.setattr(checkpoints, "save_file", dying(save_file))
    monkeypatch.setattr(checkpoints, "_sync", dying(checkpoints._sync))
    monkeypatch.setattr(Path, "replace", dying(Path.replace))
    monkeypatch.setattr(Path, "mkdir", dying(Path.mkdir))
    monkeypatch.setattr(shutil, "rmtree", dying(shutil.rmtree))


def test_a_kill_at_any_instant_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    one = Training(OPTIMIZERS["adam"])
    one.steps(1)
    seen = set()
    for at in range(30):
        folder = tmp_path / str(at) / "last"
        save_checkpoint(folder, one.state, {"step": 1})
        with pytest.MonkeyPatch.context() as patch:
            interrupted(patch, at)
            try:
                save_checkpoint(folder, one.state, {"step": 2})
            except Killed:
                step = load_checkpoint(folder).progress["step"]
            else:
                break
        seen.add(step)
        save_checkpoint(folder, one.state, {"step": 3})
        assert load_checkpoint(folder).progress["step"] == 3
        assert [path.name for path in folder.parent.iterdir()] == ["last"]
    assert at > 10 and seen == {1, 2}


def test_a_full_disk_is_said_and_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Training(OPTIMIZERS["adam"])
    save_checkpoint(tmp_path / "last", one.state, {"step": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(ManifestError, match=r"last: cannot be written: .*No space left"):
        save_checkpoint(tmp_path / "last", one.state, {"step": 2})
    assert load_checkpoint(tmp_path / "last").progress == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last"]
