"""Freezing that was cut short, refused early, or made of a damaged set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from frozen_teams import build, copied, roots, run
from tiny_corpora import Corpora, set_hashes

from manifests import store
from manifests.errors import ManifestError
from manifests.shardset import load_set
from pipeline.frozen.load import load_recipe
from pipeline.stages import freeze

AUDIO = ("--with-audio", "--force", "--jobs", 1)


@pytest.fixture(scope="module")
def team(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("freezing")
    build(corpora, root / "set", "--limit", 4, "--examples-per-shard", 2)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    run("freeze", root / "set", "-o", root / "audio.v1", *AUDIO)
    return root


@pytest.fixture
def cut_short(team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Recipes with audio that were killed at each of the files, partial files included."""
    found = []
    n_files = len(list((team / "audio.v1").iterdir()))
    real = store.partial_file
    for after in range(n_files):
        begun: list[str] = []

        def stop(url: str, limit: int = after, seen: list[str] = begun) -> object:
            seen.append(url)
            if len(seen) > limit:
                raise KeyboardInterrupt
            return real(url)

        out = tmp_path / f"cut{after}/audio.v1"
        out.mkdir(parents=True)
        with monkeypatch.context() as patch:
            patch.setattr("manifests.store.partial_file", stop)
            run("freeze", team / "set", "-o", out, *AUDIO, code=130)
        (out / ".plan.jsonl.0123abcd.7.partial").write_text("half")
        found.append(out)
    return found


def test_a_freeze_with_audio_that_was_cut_short_goes_on(
    team: Path, cut_short: list[Path], corpora: Corpora
) -> None:
    for out in cut_short:
        assert not (out / "manifest-sha256.txt").exists()
        with pytest.raises(ManifestError):
            load_recipe(str(out))
        if out != cut_short[-1]:  # all but the manifest: verify names it
            with pytest.raises(ManifestError):
                load_set(str(out))
        run("freeze", team / "set", "-o", out, *AUDIO)
        assert set_hashes(out) == set_hashes(team / "audio.v1")


def test_without_audio_nothing_of_it_is_left(team: Path, cut_short: list[Path]) -> None:
    """The folder is named as team's: the name is in the recipe."""
    for out in cut_short:
        place = out.rename(out.parent / "tiny.v1")
        run("freeze", team / "set", "-o", place, "--jobs", 1)
        assert set_hashes(place) == set_hashes(team / "tiny.v1")
        run("verify", place)


def test_every_copied_file_is_hashed(team: Path, tmp_path: Path) -> None:
    shutil.copytree(team / "set", tmp_path / "set")
    with (tmp_path / "set/rejects.parquet").open("ab") as file:
        file.write(b" ")
    done = run("freeze", tmp_path / "set", "-o", tmp_path / "a.v1", *AUDIO, code=1)
    assert "/set: rejects.parquet: expected SHA-256 " in done.output
    assert not (tmp_path / "a.v1/rejects.parquet").exists()
    assert not (tmp_path / "a.v1/manifest-sha256.txt").exists()
    manifest = tmp_path / "set/manifest-sha256.txt"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if "examples" not in line))
    done = run("freeze", tmp_path / "set", "-o", tmp_path / "b.v1", *AUDIO, code=1)
    assert "manifest-sha256.txt: expected examples.parquet in it, found none" in done.output


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["README.md"], "found README.md"),
        (["shard-000000.tar", "shard-000000.json"], "found shard-000000.json"),
        (["recipe.json", "shard-000000.tar"], "found shard-000000.tar"),
        (["index.json", "manifest-sha256.txt", "recipe.json"], "found a set; choose another -o"),
    ],
    ids=["a readme", "a set that is built", "a marked set that is built", "a set"],
)
def test_other_folders_are_refused_before_a_sample_is_decoded(
    team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], said: str
) -> None:
    out = tmp_path / "own.v1"
    out.mkdir()
    for name in names:
        (out / name).write_text("mine")
    monkeypatch.setattr(freeze, "_decoded", lambda *_: pytest.fail("too late"))
    done = run("freeze", team / "set", "-o", out, "--jobs", 1, code=1)
    assert f"{out}: expected a new folder, {said}" in done.output
    assert {path.name for path in out.iterdir()} == set(names)


def test_a_set_is_not_frozen_into_itself(team: Path, tmp_path: Path) -> None:
    shutil.copytree(team / "set", tmp_path / "own.v1")
    done = run("freeze", tmp_path / "own.v1", "-o", tmp_path / "own.v1", "--jobs", 1, code=1)
    assert "own.v1: expected a new folder, found a set; choose another -o" in done.output


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--against", "nowhere"), 1, "nowhere: expected a set with index.json"),
        (("--music", "folder=."), 2, "--noise folder=DIR: expected the folder of folder"),
        (("--noise", "musan=."), 2, "--music folder=DIR: expected the folder of folder, got none"),
        (("--with-audio",), 1, "--with-audio: expected licences"),
        (("--force",), 2, "--force: expected --with-audio too"),
    ],
)
def test_what_else_is_refused_before_a_sample_is_decoded(
    team: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr(freeze, "_decoded", lambda *_: pytest.fail("too late"))
    done = run("freeze", team / "set", "-o", tmp_path / "a.v1", *options, "--jobs", 1, code=code)
    assert said in done.output
    assert not (tmp_path / "a.v1").exists()


def test_a_name_with_a_backslash_is_frozen_without_it(corpora: Corpora, tmp_path: Path) -> None:
    own = copied(corpora, tmp_path)
    for path in list((own.music / "clips").glob("clip*")):
        path.rename(path.with_name(f"AC\\DC {path.name}"))
    (own.music / "metadata.csv").unlink()
    build(own, tmp_path / "set", "--limit", 4)
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", *roots(own), "--jobs", 1)
    lines = (tmp_path / "tiny.v1/sources.jsonl").read_text().splitlines()
    paths = {s["clip_id"]: s["path"] for s in map(json.loads, lines)}
    odd = [clip_id for clip_id in paths if "AC" in clip_id]
    assert odd and all(paths[clip_id] is None for clip_id in odd)
    assert any(paths.values())
    run("thaw", tmp_path / "tiny.v1", *roots(own), "--out", tmp_path / "out", "--jobs", 1)
