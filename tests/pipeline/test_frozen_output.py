"""The folder that a thaw writes to: damaged, half removed, begun otherwise, or of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from frozen_teams import build, copied, roots, rows, run, thaw
from tiny_corpora import Corpora, set_hashes, stamps

from manifests import store
from pipeline.frozen import thaw_output
from pipeline.stages import thaw as thaw_stage


@pytest.fixture(scope="module")
def recipe(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe, and the set ``thawed`` beside it."""
    root = tmp_path_factory.mktemp("output")
    build(corpora, root / "set", "--limit", 5, "--examples-per-shard", 2)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    thaw(root / "tiny.v1", corpora, root / "thawed")
    return root / "tiny.v1"


@pytest.fixture
def out(recipe: Path, tmp_path: Path) -> Path:
    """A copy of the thawed set, to be damaged."""
    return Path(shutil.copytree(recipe.parent / "thawed", tmp_path / "out"))


@pytest.mark.parametrize(
    "lost", ["shard-000001.tar", "shard-000000.json", "verdicts.parquet", "tags.json"]
)
def test_a_finished_thaw_that_lost_a_file_is_rendered_again(
    recipe: Path, corpora: Corpora, out: Path, lost: str
) -> None:
    (out / lost).unlink()
    assert thaw(recipe, corpora, out)["n_resumed"] == 0
    assert set_hashes(out) == set_hashes(recipe.parent / "thawed")


def test_a_finished_thaw_with_a_cut_shard_is_rendered_again(
    recipe: Path, corpora: Corpora, out: Path
) -> None:
    (out / "shard-000001.tar").unlink()
    (out / "shard-000000.tar").write_bytes((out / "shard-000000.tar").read_bytes()[:1000])
    thaw(recipe, corpora, out)
    assert set_hashes(out) == set_hashes(recipe.parent / "thawed")


def test_overwrite_looks_at_every_byte(recipe: Path, corpora: Corpora, out: Path) -> None:
    before = stamps(out)
    assert thaw(recipe, corpora, out, "--overwrite")["n_resumed"] == 3
    assert stamps(out) == before
    data = bytearray((out / "shard-000002.tar").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "shard-000002.tar").write_bytes(data)
    assert thaw(recipe, corpora, out)["n_resumed"] == 3  # sizes alone are looked at
    thaw(recipe, corpora, out, "--overwrite")
    assert set_hashes(out) == set_hashes(recipe.parent / "thawed")


@pytest.mark.parametrize("left", [[], [".thaw.json.1.partial"], ["thaw-000000.jsonl"]])
def test_a_thaw_that_was_killed_before_its_header_begins_again(
    recipe: Path, corpora: Corpora, tmp_path: Path, left: list[str]
) -> None:
    (tmp_path / "out/.plan").mkdir(parents=True)
    for name in left:
        (tmp_path / "out/.plan" / name).write_text("{")
    thaw(recipe, corpora, tmp_path / "out")
    assert set_hashes(tmp_path / "out") == set_hashes(recipe.parent / "thawed")


def test_an_overwrite_that_was_killed_while_clearing_goes_on(
    recipe: Path, corpora: Corpora, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = out.parent / "subset.json"
    run("subset", recipe, recipe, "-o", subset)
    chosen = json.loads(subset.read_text())
    subset.write_text(json.dumps(chosen | {"keys": chosen["keys"][:2]}))
    options = ("--subset", subset, "--overwrite")
    real = store.remove
    for after in range(6):
        removed = []

        def stop(url: str, limit: int = after, seen: list[str] = removed) -> None:
            seen.append(url)
            if len(seen) > limit:
                raise KeyboardInterrupt
            real(url)

        with monkeypatch.context() as patch:
            patch.setattr("pipeline.set_files.store.remove", stop)
            run("thaw", recipe, *roots(corpora), "--out", out, "--jobs", 1, *options, code=130)
    assert not (out / "index.json").exists()
    thaw(recipe, corpora, out, *options)
    run("verify", out, "--jobs", 1)


def test_a_whole_thaw_that_goes_on_as_a_subset_keeps_no_shard_of_it(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = tmp_path / "subset.json"
    run("subset", recipe, recipe, "-o", subset)
    chosen = json.loads(subset.read_text())
    keys = sorted(row["key"] for row in rows(recipe) if row["shard"] == 1)
    subset.write_text(json.dumps(chosen | {"keys": keys}))
    thaw(recipe, corpora, tmp_path / "once", "--subset", subset)

    def dies(*arguments: Any) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(thaw_stage, "finish_thaw", dies)
        run("thaw", recipe, *roots(corpora), "--out", out, "--jobs", 1, code=130)
    assert len(list(out.glob("shard-*.tar"))) == 3
    thaw(recipe, corpora, out, "--subset", subset)
    assert set_hashes(out) == set_hashes(tmp_path / "once")
    run("verify", out, "--jobs", 1)


@pytest.mark.parametrize("options", [(), ("--overwrite",)], ids=["plain", "overwrite"])
@pytest.mark.parametrize(
    "names", [["index.json", "README.md"], ["plan.jsonl", "shard-000000.json"]]
)
def test_other_folders_are_left_alone(
    recipe: Path, corpora: Corpora, tmp_path: Path, names: list[str], options: tuple[str, ...]
) -> None:
    """A web project, or a recipe with audio; nothing is read before it is refused."""
    out = tmp_path / "out"
    out.mkdir()
    for name in names:
        (out / name).write_text("mine")
    team = copied(corpora, tmp_path)
    shutil.rmtree(team.music)
    run("thaw", recipe, *roots(team), "--out", out, "--jobs", 1, *options, code=1)
    assert {path.name: path.read_text() for path in out.iterdir()} == dict.fromkeys(names, "mine")


def test_the_place_is_checked_before_sources_are_read(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    monkeypatch.setattr(thaw_stage, "match_recipe", lambda *_a, **_k: pytest.fail("too late"))
    done = run("thaw", recipe, *roots(corpora), "--out", tmp_path, "--jobs", 1, code=1)
    assert "expected a new folder, an empty one or this thaw, found thesis.tex" in done.output
    assert thaw_output.check_thaw_place(str(tmp_path / "new")) is None
