"""The ready-made specs: what they say, and that they fix what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from frozen_teams import rows, run
from tiny_official import write_official

from manifests.errors import UsageError
from pipeline.config import SetConfig
from pipeline.spec_files import is_spec, load_spec, spec_names

NAMES = [f"mtat-test-x-{noise}-k{k}.v1" for noise in ("audioset", "musan") for k in (1, 2, 4)]


def test_the_specs_are_those_of_the_issue() -> None:
    assert spec_names() == sorted(NAMES)
    for name in NAMES:
        spec = load_spec(name)
        config = SetConfig(**spec.values)
        assert config.music == ("mtat",) and config.split == config.noise_split == "test"
        assert config.snrs_db == (10.0, 5.0, 0.0, -5.0, -10.0)
        assert f"mtat-test-x-{config.noise[0]}-k{config.noises}.v1" == name
        assert (config.seed, config.band_limit, spec.tags) == (0, "7200", "top50")
        assert spec.corpus_options["mtat_untagged"] == "keep" and spec.description
    with pytest.raises(UsageError, match="expected one of mtat-test-x-audioset-k1"):
        load_spec("../suites/demo")


def test_what_is_taken_for_a_spec() -> None:
    assert is_spec(NAMES[0]) and is_spec(f"somewhere/{NAMES[0]}.toml")
    assert not is_spec(f"out/{NAMES[0]}")  # a recipe may be called so
    assert not is_spec("mine.v1")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = write_official(tmp_path_factory.mktemp("official"))
    return ("--music", f"mtat={root}/mtat", "--noise", f"musan={root}/musan", "--jobs", "1")


def test_a_spec_builds_and_freezes(official: tuple[str, ...], tmp_path: Path) -> None:
    run("build-shards", *official, "--spec", "mtat-test-x-musan-k2.v1", "--out", tmp_path / "set")
    index = json.loads((tmp_path / "set/index.json").read_bytes())
    assert index["name"] == "mtat-test-x-musan-k2" and index["split"] == "test"
    assert index["noises_per_example"] == 2 and index["counts"]["examples"] == 6
    assert index["config"]["corpus_options"]["mtat_untagged"] == "keep"
    assert index["config"]["band_hz"] == 7200.0 and len(index["tags"]) == 50
    run("freeze", tmp_path / "set", "-o", tmp_path / "mtat-test-x-musan-k2.v1", "--jobs", 1)
    assert len(rows(tmp_path / "mtat-test-x-musan-k2.v1")) == 6
    run("thaw", tmp_path / "mtat-test-x-musan-k2.v1", *official, "--out", tmp_path / "thawed")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--seed", "3"), "--seed: fixed by --spec"),
        (("--noises", "2", "--snr", "0"), "--noises, --snr: fixed by --spec"),
        (("--tags", "all"), "--tags: fixed by --spec"),
        (("--mtat-untagged", "drop"), "--mtat-untagged: fixed by --spec"),
        (("--suite", "demo"), "expected no --suite beside it"),
        (("--music", "folder=."), "expected --music mtat=DIR"),
    ],
)
def test_what_a_spec_fixes_is_not_changed(
    official: tuple[str, ...], more: tuple[str, ...], said: str
) -> None:
    done = run("plan", *official, "--spec", "mtat-test-x-musan-k1.v1", *more, code=2)
    assert said in done.output


def test_what_a_spec_leaves_open_may_be_chosen(official: tuple[str, ...], tmp_path: Path) -> None:
    spec = (*official, "--spec", "mtat-test-x-musan-k1.v1")
    run("build-shards", *spec, "--limit", 3, "--codec", "wav", "--out", tmp_path / "set")
    index = json.loads((tmp_path / "set/index.json").read_bytes())
    assert (index["counts"]["examples"], index["codec"]) == (3, "wav")
    done = run(
        "plan", *official[:2], "--noise", "none", "--spec", "mtat-test-x-musan-k1.v1", code=2
    )
    assert "expected --noise musan=DIR, got none" in done.output
