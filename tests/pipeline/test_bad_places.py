"""Wrong folders, URLs, schedulers and outputs, with the words the user reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from prep_runner import run_prep
from tiny_corpora import Corpora, set_hashes, write_mtat


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        ("mtat", "expected annotations_final.csv in"),
        ("mtg-jamendo", "expected "),
        ("audioset", "expected "),
        ("musan", "expected files such as noise/free-sound/noise-free-sound-0000.wav"),
    ],
)
def test_a_wrong_folder_is_one_line_with_the_layout(
    corpora: Corpora, corpus: str, words: str
) -> None:
    """The folder of another corpus."""
    ran = run_prep("scan", "--corpus", corpus, "--root", corpora.music)
    assert (ran.status, ran.out) == (1, "")
    lines = ran.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"prep: {corpus}: {words}")
    assert str(corpora.music) in lines[0] and "the folder should hold: " in lines[0]


def test_a_folder_one_level_too_high_names_the_right_one(tmp_path: Path) -> None:
    write_mtat(tmp_path / "data/mtat", "d")
    ran = run_prep("scan", "--corpus", "mtat", "--root", tmp_path / "data")
    assert "mtat/annotations_final.csv is there: name the folder that the layout starts at" in (
        ran.error
    )


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "music.zip").write_bytes(b"PK")
    ran = run_prep("scan", "--corpus", "folder", "--root", tmp_path / "music.zip")
    assert ran.status == 1
    assert ran.error == f"prep: {tmp_path}/music.zip: expected a folder, got a file; check the path"


@pytest.mark.parametrize(
    "url", ["pipe:cat /etc/passwd", "pipe://x", "simplecache::memory://x", "ssh://h/x", "data://x"]
)
@pytest.mark.parametrize("place", ["--music", "--noise", "--out", "--root", "verify"])
def test_hostile_urls_are_refused_everywhere(
    corpora: Corpora, tmp_path: Path, url: str, place: str
) -> None:
    music, noise, out = f"folder={corpora.music}", f"folder={corpora.noise}", str(tmp_path / "set")
    if place == "--root":
        ran = run_prep("scan", "--corpus", "folder", "--root", url)
    elif place == "verify":
        ran = run_prep("verify", url)
    else:
        music = f"folder={url}" if place == "--music" else music
        noise = f"folder={url}" if place == "--noise" else noise
        out = url if place == "--out" else out
        arguments = ("--jobs", 1, "--limit", 1, "--out", out)
        ran = run_prep("build-shards", "--music", music, "--noise", noise, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert f"{url}" in ran.error and "refused; expected a plain path or a URL such as" in ran.error


def test_a_scheduler_that_nobody_runs(
    corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("pipeline.dask_engine.SCHEDULER_TIMEOUT_S", 0.5)
    monkeypatch.setenv("ROBUST_TAGGER_CACHE", str(tmp_path / "cache"))
    arguments = ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:1", "--out", tmp_path / "set")
    sources = ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}")
    ran = run_prep("build-shards", *sources, *arguments)
    assert ran.status == 2 and "Traceback" not in ran.err
    assert ran.error.startswith(
        "prep: --scheduler tcp://127.0.0.1:1: no dask scheduler answers there ("
    )
    assert not (tmp_path / "set").exists()


def test_output_of_another_config_and_of_somebody_else(corpora: Corpora, tmp_path: Path) -> None:
    out = tmp_path / "set"
    sources = ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}")
    arguments = ("build-shards", *sources, "--limit", 1, "--jobs", 1, "--out")
    assert run_prep(*arguments, out, "--snr", 0).status == 0
    before = set_hashes(out)
    ran = run_prep(*arguments, out, "--snr", 5)
    assert ran.status == 1
    assert "holds a set of another option: snrs_db was [0.0], now [5.0]; choose" in ran.error
    assert set_hashes(out) == before
    ran = run_prep(*arguments, corpora.music)
    assert ran.status == 1 and "expected a new folder, an empty one or a set, found" in ran.error
