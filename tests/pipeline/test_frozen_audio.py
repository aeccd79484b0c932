"""Recipes that carry their audio: which licences let them, and that they are sets by themselves."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from frozen_teams import build, roots, run
from plain_reader import read_set
from tiny_corpora import Corpora, set_hashes

from pipeline.frozen.attribution import licence_url
from pipeline.frozen.licence_policy import refusal
from pipeline.frozen.rows import FrozenSource


def source(corpus: str, licence: str) -> FrozenSource:
    return FrozenSource("noise", corpus, "a", "0" * 64, licence, "", (), None, None)


@pytest.mark.parametrize(
    ("corpus", "licence", "reason"),
    [
        ("folder", "CC-BY-4.0", ""),
        ("mtat", "CC-BY-NC-SA-3.0", ""),
        ("musan", "Public-Domain", ""),
        ("musan", "CC0-1.0", ""),
        ("folder", "CC-BY-SA-3.0-US", ""),
        ("mtg-jamendo", "https://creativecommons.org/licenses/by-nc/3.0/", ""),
        ("mtg-jamendo", "CC-BY-NC-ND-3.0", "forbids derivatives"),
        ("mtg-jamendo", "http://creativecommons.org/licenses/by-nd/2.5/", "forbids derivatives"),
        ("folder", "", "no licence is known"),
        ("folder", "unknown", "no licence is known"),
        ("folder", "All rights reserved", "no licence that is known to permit it"),
        ("audioset", "CC-BY-4.0", "belongs to the uploaders"),
    ],
)
def test_which_licences_let_audio_be_passed_on(corpus: str, licence: str, reason: str) -> None:
    found = refusal(source(corpus, licence))
    assert reason in found and bool(found) == bool(reason)


@pytest.mark.parametrize(
    ("licence", "url"),
    [
        ("CC-BY-NC-SA-3.0", "https://creativecommons.org/licenses/by-nc-sa/3.0/"),
        ("CC-BY-3.0-US", "https://creativecommons.org/licenses/by/3.0/us/"),
        ("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("All rights reserved", ""),
    ],
)
def test_urls_of_licences(licence: str, url: str) -> None:
    assert licence_url(licence) == url


def test_unknown_licences_are_refused_unless_forced(corpora: Corpora, tmp_path: Path) -> None:
    build(corpora, tmp_path / "set")  # the noises have no table, so no licence
    done = run("freeze", tmp_path / "set", "-o", tmp_path / "a.v1", "--with-audio", "--jobs", 1,
               code=1)  # fmt: skip
    assert "no licence is known" in done.output and "folder noise" in done.output
    assert not (tmp_path / "a.v1").exists()
    run("freeze", tmp_path / "set", "-o", tmp_path / "a.v1", "--with-audio", "--force", "--jobs", 1)
    card = (tmp_path / "a.v1/README.md").read_text()
    assert "audio included by --force against: 5 sources" in card


def test_a_recipe_with_audio_is_a_set_and_thaws_too(corpora: Corpora, tmp_path: Path) -> None:
    noise = Path(shutil.copytree(corpora.noise, tmp_path / "noise"))
    names = sorted(path.name for path in noise.iterdir())
    (noise / "metadata.csv").write_text(
        "path,licence,artist\n" + "".join(f"{name},CC0-1.0,me\n" for name in names)
    )
    team = Corpora(corpora.music, noise, corpora.musan)
    build(team, tmp_path / "set")
    run("freeze", tmp_path / "set", "-o", tmp_path / "plain.v1", "--jobs", 1)
    run("freeze", tmp_path / "set", "-o", tmp_path / "audio.v1", "--with-audio", "--jobs", 1)
    done = run("verify", tmp_path / "audio.v1", "--jobs", 1)
    assert done.output.count("verified") == 2
    assert [e.key for e in read_set(tmp_path / "audio.v1")] == [
        e.key for e in read_set(tmp_path / "set")
    ]
    with (tmp_path / "audio.v1/attribution.csv").open(newline="") as file:
        assert {row["licence"] for row in csv.DictReader(file)} == {"CC-BY-4.0", "CC0-1.0"}
    run("thaw", tmp_path / "audio.v1", *roots(team), "--out", tmp_path / "out", "--jobs", 1)
    ours, theirs = set_hashes(tmp_path / "out"), set_hashes(tmp_path / "audio.v1")
    assert ours["shard-000000.tar"] == theirs["shard-000000.tar"]
    done = run("diff", tmp_path / "audio.v1", tmp_path / "plain.v1")
    assert "recipe ids are the same" in done.output
    key = read_set(tmp_path / "set")[0].key
    run("explain", tmp_path / "audio.v1", key, "--render", tmp_path / "wavs")
    (tmp_path / "audio.v1/shard-000000.tar").write_bytes(b"")
    assert "shard-000000.tar" in run("verify", tmp_path / "audio.v1", "--jobs", 1, code=1).output
