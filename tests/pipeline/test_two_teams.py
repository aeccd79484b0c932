"""The story of two teams: freeze, thaw from a faulty copy, the right answer for every example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from frozen_teams import TeamB, build, expected_verdicts, roots, rows, run, team_b
from plain_reader import read_set
from tiny_corpora import Corpora, set_hashes

from trainer.evaluation import subset as trainer_subset


@pytest.fixture(scope="module")
def recipe(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("team-a")
    build(corpora, root / "set")
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


@pytest.fixture(scope="module")
def other(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> TeamB:
    return team_b(corpora, tmp_path_factory.mktemp("team-b"))


def thaw(recipe: Path, team: Corpora, out: Path, *options: object, code: int = 0) -> dict[str, Any]:
    arguments = ("thaw", recipe, *roots(team), "--out", out, "--jobs", 1, "--json", *options)
    record: dict[str, Any] = json.loads(run(*arguments, code=code).stdout)
    return record


def test_team_a_thaws_its_own_recipe_to_the_very_bytes(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    found = thaw(recipe, corpora, tmp_path / "thawed")
    assert found["complete"]
    assert found["tally"]["verdicts"] == {"identical": 12, "1lsb": 0, "differs": 0, "missing": 0}
    ours, theirs = set_hashes(tmp_path / "thawed"), set_hashes(recipe.parent / "set")
    for name in theirs:
        if name.endswith(".tar") or name in ("index.json", "examples.parquet", "tags.json"):
            assert ours[name] == theirs[name], name
    run("verify", tmp_path / "thawed", "--jobs", 1)


def test_team_b_gets_the_right_answer_for_each_example(
    recipe: Path, corpora: Corpora, other: TeamB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = thaw(
        recipe, other.corpora, tmp_path / "b", "--common-subset", "--table", "b.csv", code=1
    )
    expected = expected_verdicts(rows(recipe), other.states)
    assert {v["key"]: (v["verdict"], v["source"]) for v in found["verdicts"]} == expected
    kinds = set(expected.values())
    assert {("identical", "same"), ("identical", "retagged"), ("differs", "other"),
            ("missing", "missing")} <= kinds  # fmt: skip
    accepted = {key for key, (verdict, _) in expected.items() if verdict == "identical"}

    # The set holds the accepted examples, sample for sample those of team A, and is a set.
    original = {e.key: e for e in read_set(recipe.parent / "set")}
    thawed = {e.key: e for e in read_set(tmp_path / "b")}
    assert thawed.keys() == accepted
    for key, example in thawed.items():
        assert example.pcm.keys() == original[key].pcm.keys()
        for name, pcm in example.pcm.items():
            assert (pcm == original[key].pcm[name]).all()
    run("verify", tmp_path / "b", "--jobs", 1)
    table = pq.read_table(tmp_path / "b/verdicts.parquet").to_pylist()
    assert {row["key"]: (row["verdict"], row["source"]) for row in table} == expected
    assert (tmp_path / "b.csv").read_text().count("\n") == 1 + len(expected)

    # Both teams' subsets, intersected in either order, are one file with one id.
    thaw(recipe, corpora, tmp_path / "a", "--common-subset")
    (tmp_path / "tiny.v1.subset.json").rename(tmp_path / "A.json")
    thaw(recipe, other.corpora, tmp_path / "b", "--common-subset", code=1)
    (tmp_path / "tiny.v1.subset.json").rename(tmp_path / "B.json")
    run("subset", "A.json", "B.json", "-o", "AB.json")
    run("subset", "B.json", recipe, "A.json", "-o", "BA.json")
    assert Path("AB.json").read_bytes() == Path("BA.json").read_bytes()
    common = json.loads(Path("AB.json").read_text())
    assert common == {
        "recipe_id": found["recipe_id"], "accept": "identical", "keys": sorted(accepted)
    }  # fmt: skip
    assert trainer_subset.load_subset("AB.json").keys == tuple(sorted(accepted))
    said = json.loads(run("subset", "A.json", "B.json", "-o", "AB.json", "--json").stdout)
    assert said["subset_id"] == trainer_subset.load_subset("AB.json").subset_id

    # On the subset team B is complete, and either set can be scored on it.
    again = thaw(recipe, other.corpora, tmp_path / "c", "--subset", "AB.json")
    assert again["complete"] and again["tally"]["n_examples"] == len(accepted)
    run("verify", tmp_path / "a", tmp_path / "b", tmp_path / "c", recipe, "--subset", "AB.json",
        "--jobs", 1)  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        ("--jobs", 2),
        pytest.param(("--jobs", 2, "--engine", "dask"), marks=pytest.mark.slow),
    ],
)
def test_another_engine_thaws_the_same_bytes(
    recipe: Path, other: TeamB, tmp_path: Path, options: tuple[object, ...]
) -> None:
    thaw(recipe, other.corpora, tmp_path / "one", code=1)
    thaw(recipe, other.corpora, tmp_path / "other", *options, code=1)
    assert set_hashes(tmp_path / "one") == set_hashes(tmp_path / "other")


def test_thaw_says_what_it_found_before_it_renders(recipe: Path, other: TeamB) -> None:
    done = run("thaw", recipe, *roots(other.corpora), "--match-only", "--jobs", 1, code=1)
    assert "12 sources: 6 found by name, 1 by content, 1 by sound, 3 with" in done.stdout
    assert "clips/clip01: missing" in done.stdout
    run("thaw", recipe, *roots(other.corpora), "--jobs", 1, code=2)


def test_scores_on_both_sets_carry_the_recipe(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    thaw(recipe, corpora, tmp_path / "thawed")
    ids = {
        json.loads((folder / "recipe.json").read_bytes())["recipe_id"]
        for folder in (recipe, recipe.parent / "set", tmp_path / "thawed")
    }
    assert len(ids) == 1
