"""Sets that ``train`` cannot use: missing, unfit or damaged, and said before stage 1 begins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_sets import write_set
from tiny_suite import DAT, SET, refused, run_well


def test_missing_roles_are_named(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    record = json.loads((suite / "suite.json").read_text())
    for role in ("train", "valid", "extra-target"):
        rest = {r: f for r, f in record.items() if r not in (role, f"pretrain-{role}")}
        (tmp_path / "suite" / "suite.json").write_text(json.dumps(rest))
        shared = ("dat", "--shards", tmp_path / "suite", "--out", tmp_path / "run", *DAT)
        sets = [v for r in rest for v in ("--set", f"{r}={suite / r}")]
        options = ("--encoder", dat_run, "--extra-target")
        refused(
            (*shared, *sets, *options), 2,
            f"expected a set with the role {role}, got ", f"name one with --set {role}=SET",
        )  # fmt: skip
    refused((*shared[:2], tmp_path, "--out", tmp_path / "run"), 1, "expected a suite (suite.json")
    assert not (tmp_path / "run").exists()


def test_sets_that_do_not_fit(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is said before stage 1 begins."""

    def given(role: str, **options: object) -> tuple[object, ...]:
        folder = tmp_path / "set"
        shutil.rmtree(folder, ignore_errors=True)
        write_set(str(folder), name="odd", **{**SET, "n_songs": 8, **options})  # type: ignore[arg-type]
        sets = ("--set", f"{role}={folder}")
        return ("dat", "--shards", suite, *sets, "--out", tmp_path / "run", *DAT)

    with monkeypatch.context() as patch:
        patch.setattr("tiny_sets.TAGS", ("guitar", "piano", "drums", "kazoo"))
        other_tags = given("valid", halves=False)
    refused(
        other_tags, 1,
        "odd: expected the 4 tags of the training set, got 4: lacks ['voice'], adds ['kazoo']",
    )  # fmt: skip
    refused(given("valid", n_samples=59_048, halves=False), 1, "expected at least one chunk")
    refused(given("train", n_songs=4), 2, "odd/source: expected at least 4 examples for one batch")
    refused(given("train", n_songs=4), 2, "2 songs; a batch size of 2 would work")
    refused(given("train", halves=False), 2, "of the source half, got a set without halves;")
    refused(
        given("pretrain-valid", n_songs=1, halves=False),
        2,
        "at least two songs to tell apart, got 1",
    )
    recordings = given("valid", snrs_db=(), halves=False)
    refused(recordings, 1, "odd: expected clean and noisy members, got real recordings; give")
    refused(given("train", snrs_db=()), 2, "set: expected clean and noisy members, got real record")
    untagged = {f"song-{n:02d}": [] for n in range(8)}
    refused(given("valid", tags=untagged, halves=False), 1, "odd: expected a tag that some of 8")
    with monkeypatch.context() as patch:
        patch.setattr("tiny_sets.TAGS", ())
        no_tags = given("train", tags=untagged)
    refused(no_tags, 1, "set: expected a training set with tags, got none; build it with --tags")
    short = "expected at least 59,049 samples, got 50,000 (so have 4 of 4 examples); build the set"
    refused(given("train", n_samples=50_000), 1, short)
    assert not (tmp_path / "run").exists()


def test_damaged_sets(suite: Path, dat_run: Path, tmp_path: Path) -> None:
    train = tmp_path / "train"
    shutil.copytree(suite / "train", train)
    shared = (
        "dat", "--shards", suite, "--set", f"train={train}", "--encoder", dat_run,
        "--out", tmp_path / "run", *DAT,
    )  # fmt: skip
    shard = train / "shard-000000.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:-512])
    refused(shared, 1, "shard-000000.tar: expected", "the tar is cut short")
    shard.write_bytes(data[:1_000] + bytes(200_000) + data[201_000:])
    refused(shared, 1, "shard-000000.tar: train-")
    shard.write_bytes(data)
    run_well(*shared)
