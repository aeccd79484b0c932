"""Checkpoints: the same bits after a resume, and no damaged or foreign one is taken."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import OPTIMIZERS, Training
from torch import nn

import trainer.runs.checkpoint as checkpoints
from manifests.errors import ManifestError
from trainer.runs.checkpoint import (
    OPTIMIZER,
    RANDOM,
    STATE,
    WEIGHTS,
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from trainer.runs.restore import load_weights, restore
from trainer.runs.seeding import step_generator


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_and_five_steps_are_ten_to_the_bit(tmp_path: Path, name: str) -> None:
    straight = Training(OPTIMIZERS[name])
    expected = straight.steps(10)

    first = Training(OPTIMIZERS[name])
    found = first.steps(5)
    save_checkpoint(tmp_path / "last", first.state, {"step": 5})

    second = Training(OPTIMIZERS[name], seed=99)
    second.steps(2)
    checkpoint = load_checkpoint(tmp_path / "last")
    restore(checkpoint, second.state)
    found += second.steps(5)

    assert found == expected
    assert checkpoint.progress == {"step": 5}
    for place, tensor in straight.net.state_dict().items():
        assert torch.equal(second.net.state_dict()[place], tensor), place
    assert second.optimizer.param_groups[0]["lr"] == straight.optimizer.param_groups[0]["lr"]
    group = second.optimizer.param_groups[0]
    assert "betas" not in group or isinstance(group["betas"], tuple)


def test_memory_layout_is_kept(tmp_path: Path) -> None:
    one = Training(OPTIMIZERS["adam"])
    one.steps(1)
    save_checkpoint(tmp_path / "last", one.state, {})
    restore(load_checkpoint(tmp_path / "last"), one.state)
    weight = one.net[0].weight
    assert one.optimizer.state[weight]["exp_avg"].stride() == weight.stride()


def test_progress_goes_through_as_json(tmp_path: Path) -> None:
    progress = {"step": 3, "best": {"auc": 0.1 + 0.2}, "loader": {"step": 3, "fingerprint": "ab"}}
    save_checkpoint(tmp_path / "last", TrainingState({}), progress)
    assert load_checkpoint(tmp_path / "last").progress == progress
    for broken in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(ManifestError, match="expected JSON values to save"):
            save_checkpoint(tmp_path / "last", TrainingState({}), broken)
    assert load_checkpoint(tmp_path / "last").progress == progress


def test_weights_alone_serve_inference(tmp_path: Path) -> None:
    one = Training(OPTIMIZERS["adam"])
    save_checkpoint(tmp_path / "best", TrainingState({"net": one.net, "head": nn.Linear(2, 2)}), {})
    assert not (tmp_path / "best" / OPTIMIZER).exists()
    checkpoint = load_checkpoint(tmp_path / "best")
    other = Training(OPTIMIZERS["adam"], seed=4)
    load_weights(checkpoint, "net", other.net)
    assert torch.equal(other.net[5].weight, one.net[5].weight)
    with pytest.raises(ManifestError, match="expected the state of optimizer adam, got none"):
        restore(checkpoint, other.state)
    with pytest.raises(ManifestError, match="expected the weights of tail, got head, net"):
        load_weights(checkpoint, "tail", other.net)


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    layer = nn.Linear(3, 3)
    save_checkpoint(tmp_path / "c", TrainingState({"net": nn.Sequential(layer, layer)}), {})
    assert len(load_checkpoint(tmp_path / "c").weights) == 4


def test_another_model_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", Training(OPTIMIZERS["adam"]).state, {})
    checkpoint = load_checkpoint(tmp_path / "c")
    wide = Training(OPTIMIZERS["adam"], width=16)
    before = wide.net[0].weight.clone()
    with pytest.raises(
        ManifestError, match=r"net\.0\.weight: expected shape \(16, 1, 3, 3\), got \(8, 1, 3, 3\)"
    ):
        restore(checkpoint, wide.state)
    assert torch.equal(wide.net[0].weight, before)
    with pytest.raises(
        ManifestError,
        match=r"net: expected .* 2 missing \(bias, weight\) and 9 others \(0\.bias, 0\.weight, 1",
    ):
        load_weights(checkpoint, "net", nn.Linear(2, 2))


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    one = Training(OPTIMIZERS["adam"])
    one.steps(1)
    save_checkpoint(tmp_path / "c", one.state, {})
    checkpoint = load_checkpoint(tmp_path / "c")
    with pytest.raises(ManifestError, match="expected the state of SGD, got Adam"):
        restore(checkpoint, Training(OPTIMIZERS["momentum"]).state)
    with pytest.raises(ManifestError, match=r"expected groups of \[2, 2\] parameters, got \[6\]"):
        restore(checkpoint, Training(OPTIMIZERS["groups"]).state)
    state = TrainingState({}, {}, {"other": torch.Generator()})
    with pytest.raises(ManifestError, match="expected the state of generator other"):
        restore(checkpoint, state)


@pytest.mark.parametrize("file", [WEIGHTS, OPTIMIZER, RANDOM])
def test_a_changed_byte_is_found(tmp_path: Path, file: str) -> None:
    one = Training(OPTIMIZERS["adam"])
    one.steps(1)
    save_checkpoint(tmp_path / "c", one.state, {})
    path = tmp_path / "c" / file
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ManifestError, match=f"{file}: expected SHA-256 .* it was changed"):
        load_checkpoint(tmp_path / "c")
    path.unlink()
    with pytest.raises(ManifestError, match=f"{file}: expected a safetensors file"):
        load_checkpoint(tmp_path / "c")


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_byte_of_the_record_is_found(tmp_path: Path, seed: int) -> None:
    """A step or a seed that is one digit off would be a run of its own, and nobody would know."""
    one, rng = Training(OPTIMIZERS["adam"]), np.random.default_rng(seed)
    folder = tmp_path / "checkpoints" / "last"
    save_checkpoint(folder, one.state, {"step": 123, "best": 0.25})
    data = bytearray((folder / STATE).read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(7)
    (folder / STATE).write_bytes(data)
    try:
        found = load_checkpoint(folder).progress
    except ManifestError as error:
        assert str(folder) in str(error)
        assert f"remove {folder.parent} and run the same command again" in str(error)
    else:
        assert found == {"step": 123, "best": 0.25}, "the name of the hash itself was hit"


def test_a_record_without_its_hash_is_of_an_older_version(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", Training(OPTIMIZERS["adam"]).state, {"step": 1})
    record = json.loads((tmp_path / "c" / STATE).read_text())
    del record["sha256"]
    (tmp_path / "c" / STATE).write_text(json.dumps(record))
    assert load_checkpoint(tmp_path / "c").progress == {"step": 1}
    record["sha256"] = "0" * 64
    (tmp_path / "c" / STATE).write_text(json.dumps(record))
    with pytest.raises(ManifestError, match="expected the values that were written, got others; c"):
        load_checkpoint(tmp_path / "c")


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected a checkpoint with state\.json, found none"):
        load_checkpoint(tmp_path / "c")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / STATE).write_text("{}")
    with pytest.raises(ManifestError, match="expected the format 'robust-tagger checkpoint 1'"):
        load_checkpoint(tmp_path / "c")
    (tmp_path / "c" / STATE).write_text(json.dumps({"format": checkpoints.FORMAT, "files": 3}))
    with pytest.raises(ManifestError, match="expected objects files, optimizers and progress"):
        load_checkpoint(tmp_path / "c")
    (tmp_path / "c" / STATE).write_text("nonsense")
    with pytest.raises(ManifestError, match="expected JSON"):
        load_checkpoint(tmp_path / "c")


def test_no_pickle_is_ever_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was loaded")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(torch.serialization, "load", refuse)
    one = Training(OPTIMIZERS["adam"])
    one.steps(1)
    save_checkpoint(tmp_path / "c", one.state, {})
    restore(load_checkpoint(tmp_path / "c"), one.state)
    hostile = pickle.dumps({"weights": 1})
    (tmp_path / "c" / WEIGHTS).write_bytes(hostile)
    record = json.loads((tmp_path / "c" / STATE).read_text())
    import hashlib

    record["files"][WEIGHTS] = hashlib.sha256(hostile).hexdigest()
    del record["sha256"]
    (tmp_path / "c" / STATE).write_text(json.dumps(record))
    with pytest.raises(ManifestError, match="expected a safetensors file"):
        load_checkpoint(tmp_path / "c")


def test_generators_of_steps() -> None:
    def draw(*arguments: object, **options: int) -> float:
        generator = step_generator(*arguments, **options)  # type: ignore[arg-type]
        return torch.rand(1, generator=generator).item()

    values = [draw(0, "augment", 1), draw(0, "augment", 2), draw(1, "augment", 1),
              draw(0, "drop", 1), draw(0, "augment", 1, rank=1)]  # fmt: skip
    assert len(set(values)) == 5
    assert draw(0, "augment", 1) == values[0]
