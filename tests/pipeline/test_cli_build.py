"""``prep plan`` and ``prep build-shards``: what they print and return."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from plain_reader import check_snrs, read_set
from prep_runner import Ran, run_prep
from tiny_corpora import Corpora, set_hashes


@pytest.fixture
def sources(corpora: Corpora) -> tuple[str, ...]:
    return ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}")


def build(sources: tuple[str, ...], out: Path, *arguments: object) -> Ran:
    return run_prep("build-shards", *sources, "--jobs", 1, "--out", out, *arguments)


def test_plan_for_people(sources: tuple[str, ...]) -> None:
    ran = run_prep("plan", *sources, "--jobs", 1, "--noises", 2, "--examples-per-shard", 3)
    lines = ran.out.splitlines()
    assert ran.status == 0
    assert lines[0].startswith(
        "folder-train-x-folder-k2: 12 examples (8 source, 4 target), 0.01 h x 6 members, about "
    )
    assert lines[0].endswith(", 5 shards")
    assert "  band: up to 7,200 Hz" in lines and "  rejects: none" in lines
    assert "  tags: 4 kept, 0 left out" in lines
    assert any(line.startswith("  does not feed 1 x 1 ranks x 2 workers: sour") for line in lines)
    assert "tags of folder:" in lines and "  guitar  test 2, train 6  kept" in lines


def test_plan_writes_nothing(
    sources: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_prep("plan", *sources, "--jobs", 1).status == 0
    assert list(tmp_path.iterdir()) == []


def test_plan_for_machines(sources: tuple[str, ...]) -> None:
    ran = run_prep("plan", *sources, "--jobs", 1, "--json", "--limit", 5)
    assert ran.status == 0 and ran.err == ""
    (found,) = ran.record["sets"]
    assert (found["examples"], found["shards"], found["band_hz"]) == (5, 2, 7200.0)
    assert found["domains"].keys() == {"source", "target"} and ran.record["stops"] == []
    assert len(found["plan_sha256"]) == 64 and found["estimated_bytes"] > 100_000


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--batch-size 3", 0, "feeds 1 x 1 ranks x 2 workers: source 8 a rank (2 batches of 3"),
        ("--batch-size 4", 1, "too few: 4 examples of 3 songs for a global batch of 4 with no so"),
        ("--batch-size 5", 1, "no song twice on a rank; use batches of at most 3"),
        ("--nodes 2 --gpus 2", 1, "does not feed 2 x 2 ranks x 2 workers"),
        ("--gpus 2 --batch-size 2", 0, "feeds 1 x 2 ranks x 2 workers"),
        ("--gpus 3 --batch-size 2", 1, "no song twice on a rank; use at most 2 ranks of 2"),
        ("--batch-size 2 --workers 7", 0, "feeds 1 x 1 ranks x 7 workers"),
        ("", 0, "does not feed 1 x 1 ranks x 2 workers"),
    ],
)
def test_plan_says_whether_a_set_feeds_a_job(
    sources: tuple[str, ...], arguments: str, status: int, words: str
) -> None:
    """Exit status 1 only where the shape of a job was asked about."""
    ran = run_prep("plan", *sources, "--jobs", 1, *arguments.split())
    assert ran.status == status and words in ran.out


def test_plan_says_where_build_shards_would_stop(corpora: Corpora, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    (music / "clips/clip00.wav").write_bytes(b"")
    arguments = ("--music", f"folder={music}", "--noise", f"folder={corpora.noise}", "--jobs", 1,
                 "--max-reject-percent", 4)  # fmt: skip
    ran = run_prep("plan", *arguments)
    assert ran.status == 1
    would, _, why = ran.out.splitlines()[-1].partition(": ")
    assert would == "build-shards would stop"
    assert why.startswith("folder: expected at most 4 % rejects, got 1 of 24 clips: 1 empty")
    assert run_prep("plan", *arguments, "--json").record["stops"] == [why]
    ran = run_prep("build-shards", *arguments, "--out", tmp_path / "set")
    assert ran.status == 1 and ran.error == f"prep: {why}"
    assert not (tmp_path / "set").exists()


def test_build_for_people(sources: tuple[str, ...], tmp_path: Path) -> None:
    ran = build(sources, tmp_path / "set", "--limit", 4, "--examples-per-shard", 2)
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("folder-train-x-folder-k1: 4 examples, 0.00 h of music, 0.02 h of")
    assert lines[-1] == f"  {tmp_path}/set" and "rejects: none" in lines[2]
    assert "build folder-train-x-folder-k1: 4/4 examples" in ran.err
    assert check_snrs(read_set(tmp_path / "set")) == 20


def test_build_for_machines_prints_json_alone(sources: tuple[str, ...], tmp_path: Path) -> None:
    ran = build(sources, tmp_path / "set", "--limit", 2, "--json")
    assert ran.status == 0 and ran.err == ""
    (found,) = ran.record["sets"]
    assert found["out"] == str(tmp_path / "set") and found["n_examples"] == 2
    assert ran.record["left_out"] == []


def test_build_again_says_that_it_is_done(sources: tuple[str, ...], tmp_path: Path) -> None:
    build(sources, tmp_path / "set", "--limit", 2, "--name", "mine")
    before = set_hashes(tmp_path / "set")
    ran = build(sources, tmp_path / "set", "--limit", 2, "--name", "mine")
    assert ran.status == 0 and ran.out.startswith("mine: 2 examples")
    assert "shards, 2 of them already done" in ran.out or "1 of them already done" in ran.out
    assert set_hashes(tmp_path / "set") == before


def test_build_over_another_set(sources: tuple[str, ...], tmp_path: Path) -> None:
    build(sources, tmp_path / "set", "--limit", 2, "--snr", 0)
    ran = build(sources, tmp_path / "set", "--limit", 2, "--snr", 0, "--seed", 9)
    assert (ran.status, ran.out) == (1, "")
    assert ran.error == (
        f"prep: {tmp_path}/set: holds a set of another option: seed was 0, now 9; choose another "
        "--out or --overwrite"
    )
    ran = build(sources, tmp_path / "set", "--limit", 2, "--snr", 0, "--seed", 9, "--overwrite")
    assert ran.status == 0
    assert json.loads((tmp_path / "set/index.json").read_text())["config"]["seed"] == 9


def test_the_plan_of_plan_is_the_one_that_build_builds(
    sources: tuple[str, ...], tmp_path: Path
) -> None:
    arguments = ("--limit", 3, "--noises", 4, "--excerpt-s", "2.7", "--seed", 5)
    planned = run_prep("plan", *sources, "--jobs", 1, "--json", *arguments).record["sets"][0]
    build(sources, tmp_path / "set", *arguments)
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert planned["plan_sha256"] == index["plan_sha256"] and planned["config"] == index["config"]


def test_a_suite_of_what_is_there(corpora: Corpora, mtat: Path, tmp_path: Path) -> None:
    """MTAT and MUSAN alone: one role of the thesis for each k, the others are named."""
    sources = ("--music", f"mtat={mtat}", "--noise", f"musan={corpora.musan}")
    arguments = ("--suite", "thesis", *sources, "--noises", "1,2", "--jobs", 1)
    ran = run_prep("build-shards", *arguments, "--out", tmp_path / "suite")
    assert ran.status == 0, ran.err
    assert "left out train: needs --noise audioset" in ran.out
    assert "left out pretrain-train: needs --music mtg-jamendo and --noise audioset" in ran.out
    for k in (1, 2):
        suite = json.loads((tmp_path / f"suite/k{k}/suite.json").read_text())
        assert suite == {"test-musan": "test-musan"}
        found = read_set(tmp_path / f"suite/k{k}/test-musan")
        assert check_snrs(found) == 5 * 5 and {e.record["split"] for e in found} == {"test"}
    assert "2 sets, 10 examples, " in ran.out
    planned = run_prep("plan", *arguments, "--json").record
    assert [s["name"] for s in planned["sets"]] == ["thesis-test-musan-k1", "thesis-test-musan-k2"]
    assert len(planned["left_out"]) == 6
    again = run_prep("build-shards", *arguments, "--out", tmp_path / "suite", "--json")
    assert [s["n_resumed"] for s in again.record["sets"]] == [1, 1]
    verified = run_prep("verify", tmp_path / "suite", "--jobs", 1, "--json")
    assert verified.status == 0 and [v["n_examples"] for v in verified.record] == [5, 5]


def test_shard_size_of_a_suite_can_be_chosen(corpora: Corpora, mtat: Path) -> None:
    arguments = ("--suite", "demo", "--music", f"mtat={mtat}", "--noise", f"musan={corpora.musan}",
                 "--jobs", 1, "--json")  # fmt: skip
    assert run_prep("plan", *arguments).record["sets"][0]["shards"] == 1
    chosen = run_prep("plan", *arguments, "--examples-per-shard", 2).record["sets"][0]
    assert chosen["shards"] == 3 and chosen["config"]["examples_per_shard"] == 2


def test_rejects_of_any_set_stop_a_suite_before_the_first_is_built(
    corpora: Corpora, mtat: Path, tmp_path: Path
) -> None:
    musan = Path(shutil.copytree(corpora.musan, tmp_path / "musan"))
    (musan / "noise/free-sound/noise-free-sound-0001.wav").write_bytes(b"RIFF")
    arguments = ("--suite", "thesis", "--music", f"mtat={mtat}", "--noise", f"musan={musan}",
                 "--jobs", 1, "--out", tmp_path / "suite")  # fmt: skip
    ran = run_prep("build-shards", *arguments)
    assert ran.status == 1 and "musan: expected at most 5 % rejects, got 1 of 5 clips" in ran.error
    assert not (tmp_path / "suite").exists()
