"""Wrong use of ``prep thaw``, ``freeze`` and ``verify``: one line that says what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from frozen_teams import build, restate, roots, rows, run
from tiny_corpora import Corpora


@pytest.fixture(scope="module")
def recipe(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("use")
    build(corpora, root / "set")
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--music", "folder=M"), "--noise folder=DIR: expected the folder of folder, got none"),
        (("--music", "folder=M", "--noise", "musan=N"), "expected the folder of folder"),
        (("--music", "folder=M", "--noise", "folder=/nowhere"), "no such folder"),
        (("--music", "folder=M", "--noise", "folder=N", "--music", "mtat=M"), "does not use it"),
        (("--music", "folder"), "expected NAME=DIR"),
        (("--music", "folder=M", "--noise", "folder=N", "--table", "x.xls"), ".parquet or .csv"),
        (("--music", "folder=M", "--noise", "folder=N", "--scheduler", "tcp://x"), "--engine dask"),
        (("--music", "folder=M", "--noise", "folder=N", "--subset", "/none.json"), "found none"),
    ],
)
def test_wrong_use_is_said_in_a_line(
    recipe: Path, corpora: Corpora, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    given = [
        a.replace("=M", f"={corpora.music}").replace("=N", f"={corpora.noise}") for a in arguments
    ]
    code = 1 if "--subset" in arguments else 2
    done = run("thaw", recipe, *given, "--out", tmp_path / "out", code=code)
    assert said in done.output and not (tmp_path / "out").exists()


def test_a_missing_decoder_is_said_before_any_source_is_read(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(recipe, tmp_path / "tiny.v1"))
    config = json.loads((copy / "recipe.json").read_bytes())["config"]
    restate(copy, rows(copy), config=config | {"decoder": "ffmpeg"})
    monkeypatch.setattr(
        "shutil.which", lambda program: f"/bin/{program}" if program == "ffmpeg" else None
    )
    done = run("thaw", copy, *roots(corpora), "--out", tmp_path / "out", code=2)
    assert "was decoded with ffmpeg, of which ffmpeg or ffprobe is not found here; install it" in (
        done.output
    )


def test_a_set_and_a_spec_are_no_recipes(recipe: Path, tmp_path: Path) -> None:
    done = run("thaw", recipe.parent / "set", "--out", tmp_path / "out", code=1)
    assert "got a set; 'prep freeze" in done.output
    done = run("thaw", "mtat-test-x-musan-k1.v1", "--out", tmp_path / "out", code=2)
    assert (
        "got a spec: it says what to build and holds no hashes; 'prep build-shards --spec "
        "mtat-test-x-musan-k1.v1 … --out SET', then 'prep freeze SET -o mtat-test-x-musan-k1.v1' "
        "makes a recipe"
    ) in done.output
    done = run("thaw", tmp_path / "nothing.v1", "--out", tmp_path / "out", code=1)
    assert "nothing.v1: expected a recipe, a folder with recipe.json and plan" in done.output
    done = run("thaw", recipe / "recipe.json", "--out", tmp_path / "out", code=1)
    assert f"recipe.json: expected the folder of a recipe, got a file of it; name {recipe}" in (
        done.output
    )
    done = run("freeze", recipe, "-o", tmp_path / "again.v1", code=1)
    assert "expected a set, got a recipe without audio; prep thaw rebuilds its set" in done.output


def test_verify_says_what_it_takes(recipe: Path, tmp_path: Path) -> None:
    done = run("verify", tmp_path / "nothing.v1", code=1)
    assert "nothing.v1: expected a set, a suite or a recipe, found nothing" in done.output
    assert "got a spec" in run("verify", "mtat-test-x-musan-k1.v1", code=2).output


@pytest.mark.parametrize(
    "options", [("--out", "x"), ("--table", "x.csv"), ("--common-subset",), ("--overwrite",)]
)
def test_match_only_takes_nothing_that_it_would_ignore(
    recipe: Path, corpora: Corpora, options: tuple[str, ...]
) -> None:
    done = run("thaw", recipe, *roots(corpora), "--match-only", *options, code=2)
    assert f"--match-only: renders and writes nothing; leave out {options[0]}" in done.output


def test_the_other_teams_subset_is_not_overwritten(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    theirs = Path("tiny.v1.subset.json")
    theirs.write_text("theirs")
    arguments = ("thaw", recipe, *roots(corpora), "--out", "out", "--common-subset", "--jobs", 1)
    done = run(*arguments, code=1)
    assert "tiny.v1.subset.json: expected no file or this very subset, found another" in done.output
    assert "12 of 12 examples accepted" in done.output, "what took long is said"
    assert theirs.read_text() == "theirs"
    theirs.unlink()
    run(*arguments)
    assert "subset id" in run(*arguments).output  # the same again


def test_a_recipe_may_have_the_name_of_its_spec(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the advice for a spec says: frozen under its name, and thawed from the same folder."""
    monkeypatch.chdir(tmp_path)
    run("freeze", recipe.parent / "set", "-o", "mtat-test-x-musan-k1.v1", "--jobs", 1)
    run("verify", "mtat-test-x-musan-k1.v1")
    given = (*roots(corpora), "--match-only", "--jobs", 1)
    run("thaw", "mtat-test-x-musan-k1.v1", *given)
    run("thaw", "mtat-test-x-musan-k2.v1", *given, code=2)
