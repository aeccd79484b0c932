"""The soak of training, for a minute; rounds and promises are told in ``soak_train.py``."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from disturbed_training import damage
from soak_train import soak_training
from soaked_training import Soak
from soaking import BrokenPromiseError, expect_message, run_rounds


@pytest.mark.slow
def test_a_minute_of_training(tmp_path: Path) -> None:
    report = soak_training(tmp_path, 1.0, seed=1)
    assert report["rounds"] >= 1 and report["minutes"] >= 1
    assert report["runs compared"] >= 2 + report["rounds"]
    assert report["steps streamed beside"] > 0


def test_rounds_end_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def one_round(number: int) -> tuple[str, float]:
        now[0] += 20.0
        return "nothing", 100.0 + number

    report = run_rounds(2.0, one_round)
    assert (report["rounds"], report["minutes"]) == (6, 2.0)
    assert (report["memory_mb_first_third"], report["memory_mb_last_third"]) == (100.5, 104.5)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "train: shard.tar: cut short"),
        (1, "Traceback (most recent call last):\nValueError: shard.tar"),
        (1, "train: unexpected ValueError"),
        (-11, "train: shard.tar: cut short"),
    ],
)
def test_what_breaks_a_promise(status: int, said: str) -> None:
    expect_message(1, "train: step 3\ntrain: shard.tar: cut short\n", "shard.tar")
    with pytest.raises(BrokenPromiseError):
        expect_message(status, said, "shard.tar")


def test_other_weights_end_the_soak(tmp_path: Path) -> None:
    soak = Soak(tmp_path, random.Random(0))
    weights = tmp_path / "run/encoder/checkpoints/last/weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"bits")
    soak.compare()
    soak.compare()
    weights.write_bytes(b"bit5")
    with pytest.raises(BrokenPromiseError, match=r"encoder/checkpoints/last/weights\.safetensors"):
        soak.compare()
    weights.unlink()
    with pytest.raises(BrokenPromiseError, match="other weights than those of an undisturbed run"):
        soak.compare()


def test_damage_changes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for seed in range(30):
        path.write_bytes(bytes(range(256)))
        damage(path, random.Random(seed))
        found = path.read_bytes()
        assert found != bytes(range(256))
        assert len(found) < 256 or sum(a != b for a, b in enumerate(found)) == 1
