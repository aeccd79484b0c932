"""The leak guard: files, songs, artists and noises in more than one split or set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from frozen_teams import build, run
from tiny_clips import clip, scan_of
from tiny_corpora import Corpora

from manifests.errors import ManifestError
from pipeline.leaks import check_leaks, leak_lines, leaks_between, leaks_in_scans

A, B = "a" * 64, "b" * 64


def test_each_kind_of_leak_between_splits_is_found_and_counted() -> None:
    music = scan_of(
        [
            clip("m1", split="train", artist="X", song="s1", source_sha256=A),
            clip("m2", split="test", artist="Y", song="s2", source_sha256=A),
            clip("m3", split="test", artist="X", song="s3", source_sha256="3" * 64),
            clip("m4", split="valid", artist="Y", song="s1", source_sha256="4" * 64),
            clip("m5", split="train", artist="", song="s5", source_sha256="5" * 64),
            clip("m6", split="test", artist="", song="s6", source_sha256="6" * 64),
        ]
    )
    noise = scan_of(
        [
            clip("n1", split="train", source_sha256=B, artist="Z"),
            clip("n1", split="test", source_sha256="7" * 64, artist="Z"),
            clip("n2", split="valid", source_sha256=B),
            clip("n3", split="any", source_sha256=B),
        ],
        corpus="audioset",
    )
    found = leaks_in_scans([music], [noise])
    assert [(leak.kind, leak.places) for leak in found] == [
        ("same file", ("test", "train")),
        ("same file", ("train", "valid")),
        ("same song", ("train", "valid")),
        ("same artist", ("test", "train")),
        ("same noise", ("test", "train")),
    ]
    assert leak_lines(found)[0] == "leak: same file in test and train: 1 (folder m1 = folder m2)"
    with pytest.raises(
        ManifestError, match=r"^--forbid-leaks: .*same artist.*leave these clips out"
    ):
        check_leaks(leak_lines(found))


def test_an_artist_in_train_and_valid_is_no_leak_and_nothing_is_nothing() -> None:
    clips = [clip("a", split="train", artist="X", source_sha256=A),
             clip("b", split="valid", artist="X", source_sha256=B)]  # fmt: skip
    assert leaks_in_scans([scan_of(clips)], []) == []
    check_leaks([])


def test_long_lists_are_cut() -> None:
    clips = [clip(f"{n}-{s}", split=s, song=f"s{n}", source_sha256="") for n in range(9)
             for s in ("train", "test")]  # fmt: skip
    (line,) = leak_lines(leaks_in_scans([scan_of(clips)], []))
    assert line.startswith("leak: same song in test and train: 9 (") and line.endswith("; …)")


def test_long_names_are_cut() -> None:
    clips = [clip(f"{s}", split=s, artist="x" * 500, song=s, source_sha256="")
             for s in ("train", "test")]  # fmt: skip
    (line,) = leak_lines(leaks_in_scans([scan_of(clips)], []))
    assert line == f"leak: same artist in test and train: 1 (folder {'x' * 72}…)"


def test_forbid_leaks_stops_plan_and_build(corpora: Corpora, tmp_path: Path) -> None:
    """The tiny corpus has artists 0 to 2 in train and test."""
    given = ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}",
             "--split", "test", "--noise-split", "test", "--jobs", 1)  # fmt: skip
    for command in (("plan",), ("build-shards", "--out", tmp_path / "set")):
        done = run(*command, *given, "--forbid-leaks", code=1)
        assert "same artist in test and train: 3 (folder artist0;" in done.output
        assert not (tmp_path / "set").exists()
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    lines = (music / "metadata.csv").read_text().splitlines()
    lines = [
        line.replace(",artist", ",test-artist") if ",test," in line else line for line in lines
    ]
    (music / "metadata.csv").write_text("\n".join(lines) + "\n")
    run("plan", "--music", f"folder={music}", *given[2:], "--forbid-leaks")


SHARED = "same artist in test and train: 3 (folder artist0; folder artist1; folder artist2)"


def test_plan_and_card_count_leaks_and_go_on(corpora: Corpora, tmp_path: Path) -> None:
    """Of every set what its own corpora share; the noises here serve any split."""
    given = ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}",
             "--split", "test", "--noise-split", "test", "--jobs", 1)  # fmt: skip
    planned = json.loads(run("plan", *given, "--json").stdout)
    (record,) = planned["sets"]
    assert [note for note in record["notes"] if "leak" in note] == [f"leak: {SHARED}"]
    assert f"  leak: {SHARED}" in run("plan", *given).stdout.splitlines()
    said = run("build-shards", *given, "--out", tmp_path / "set").stderr
    assert said.splitlines().count(f"leak: {SHARED}") == 1
    again = run("build-shards", *given, "--out", tmp_path / "set", "--json")
    assert f"leak: {SHARED}" in json.loads(again.stdout)["notes"] and SHARED not in again.stderr
    card = (tmp_path / "set/README.md").read_text()
    assert "## Leaks\n\nWhat splits of the corpora share" in card and f"\n* {SHARED}\n" in card
    built = json.loads((tmp_path / "set/index.json").read_text())
    assert built["plan_sha256"] == record["plan_sha256"] and "leak" not in str(built)
    run("verify", tmp_path / "set", "--jobs", 1)


def test_a_card_without_leaks_says_nothing_of_them(corpora: Corpora, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    text = (music / "metadata.csv").read_text()
    (music / "metadata.csv").write_text(text.replace(",test,", ",train,"))
    run("build-shards", "--music", f"folder={music}", "--noise", "none", "--split", "train",
        "--limit", 1, "--jobs", 1, "--out", tmp_path / "set")  # fmt: skip
    assert "Leaks" not in (tmp_path / "set/README.md").read_text()


def test_sets_are_compared_with_training_sets(
    corpora: Corpora, tmp_path: Path, make_plan: object
) -> None:
    build(corpora, tmp_path / "train")
    run("build-shards", "--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}",
        "--split", "test", "--noise-split", "test", "--jobs", 1,
        "--out", tmp_path / "test")  # fmt: skip
    kinds = {leak.kind for leak in leaks_between(str(tmp_path / "test"), [str(tmp_path / "train")])}
    assert kinds == {"same artist", "same noise", "same file"}  # the noises serve any split
    (tmp_path / "b").mkdir()
    (tmp_path / "b/test").symlink_to(tmp_path / "train")
    named = leaks_between(
        str(tmp_path / "test"), [str(tmp_path / "b/test"), str(tmp_path / "train")]
    )
    assert {p for leak in named for p in leak.places} == {"test (1)", "test (2)", "train"}
    assert all("test (1)" in leak.places for leak in named)  # not what the others share
    run("freeze", tmp_path / "test", "-o", tmp_path / "t.v1", "--against", tmp_path / "train",
        "--jobs", 1)  # fmt: skip
    card = (tmp_path / "t.v1/README.md").read_text()
    assert "leak: same artist in test and train: 3" in card and str(tmp_path) not in card
    run("verify", tmp_path / "t.v1")
    done = run("freeze", tmp_path / "test", "-o", tmp_path / "u.v1", "--against", tmp_path, code=1)
    assert "expected a set" in done.output


def test_music_that_states_no_split_would_be_in_every_split(
    corpora: Corpora, tmp_path: Path
) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    (music / "metadata.csv").unlink()
    given = ("plan", "--music", f"folder={music}", "--noise", f"musan={corpora.musan}",
             "--jobs", 1)  # fmt: skip
    expected = (
        "leak: folder: 16 tracks state no split, so sets of train, valid and test hold the same "
        "ones; give a split column in metadata.csv or --folder-split, or build with --split all"
    )
    for split in ("train", "valid", "test"):
        assert f"  {expected}" in run(*given, "--split", split).stdout.splitlines()
    done = run(*given, "--split", "test", "--forbid-leaks", code=1)
    assert f"got {expected}" in done.output
    for stated in (("--split", "all"), ("--split", "test", "--folder-split", "test")):
        assert "leak" not in run(*given, *stated, "--forbid-leaks").stdout
