"""The story of two teams: freeze, thaw from a faulty copy, the right answer for every example, and
the same score of the same tagger on what both could rebuild."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from frozen_teams import TeamB, expected_verdicts, roots, rows, run, thaw
from plain_reader import read_set
from tiny_corpora import Corpora, set_hashes

from manifests.errors import ManifestError
from trainer.cli import train as train_command
from trainer.evaluation.paired import compare_pair
from trainer.evaluation.scored import Scored, load_scores

SET_NAME = "folder-train-x-folder-k1"
MEMBERS = ("clean", "noisy.snr_10", "noisy.snr_0", "noisy.snr_-10")
TAGGER = (
    "--encoder", "random", "--width", "0.03", "--input-level", "rms", "--epochs", "2",
    "--batch-size", "4", "--validations", "1", "--lr", "1e-3", "--precision", "float32",
    "--threads", "1", "--workers", "0", "--device", "cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def tagger(recipe: Path, corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of two passes: ``RUN`` that team A sends to team B."""
    root = tmp_path_factory.mktemp("tagger")
    run("build-shards", *roots(corpora), "--split", "train", "--band-limit", "off",
        "--snr", "10:-10:-10", "--jobs", 1, "--out", root / "train")  # fmt: skip
    train("baseline", "--set", f"train={root / 'train'}", "--set", f"valid={recipe.parent / 'set'}",
          "--out", root / "tagger", *TAGGER)  # fmt: skip
    return root / "tagger"


def train(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(train_command, [str(a) for a in arguments], prog_name="train")
    assert done.exit_code == code, done.output
    return done.output


def scored(run_folder: Path, shards: Path, out: str, *options: object) -> Scored:
    """Evaluate on one set and load the score file, which checks it against its table."""
    train("evaluate", "--checkpoint", run_folder, "--shards", shards, "--device", "cpu",
          "--out", out, *options)  # fmt: skip
    (path,) = Path(out).glob("*.scores")
    return load_scores([str(path)])[0]


def test_the_story_of_two_teams(
    recipe: Path,
    corpora: Corpora,
    other: TeamB,
    tagger: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = recipe.parent / "set"  # team A's own set; the recipe is all that team B gets of it
    theirs = tmp_path / "b"

    # Team B thaws from its faulty copy and gets the right answer for each example.
    found = thaw(recipe, other.corpora, theirs, "--common-subset", "--table", "b.csv", code=1)
    Path("tiny.v1.subset.json").rename("B.json")
    expected = expected_verdicts(rows(recipe), other.states)
    assert {v["key"]: (v["verdict"], v["source"]) for v in found["verdicts"]} == expected
    kinds = set(expected.values())
    assert {("identical", "same"), ("identical", "retagged"), ("differs", "other"),
            ("missing", "missing")} <= kinds  # fmt: skip
    accepted = {key for key, (verdict, _) in expected.items() if verdict == "identical"}
    table = pq.read_table(theirs / "verdicts.parquet").to_pylist()
    assert {row["key"]: (row["verdict"], row["source"]) for row in table} == expected
    assert Path("b.csv").read_text().count("\n") == 1 + len(expected)

    # Its set holds the accepted examples, sample for sample those of team A, and is a set.
    original = {e.key: e for e in read_set(ours)}
    thawed = {e.key: e for e in read_set(theirs)}
    assert thawed.keys() == accepted and len(accepted) == 7
    for key, example in thawed.items():
        assert example.pcm.keys() == original[key].pcm.keys() == set(MEMBERS)
        for name, pcm in example.pcm.items():
            assert (pcm == original[key].pcm[name]).all()
    run("verify", theirs, "--jobs", 1)

    # Team A's subset is the whole; intersected in either order, both have one file with one id.
    thaw(recipe, corpora, tmp_path / "a", "--common-subset")
    Path("tiny.v1.subset.json").rename("A.json")
    said = run("subset", "A.json", "B.json", "-o", "AB.json", "--json").stdout
    run("subset", "B.json", recipe, "A.json", "-o", "BA.json")
    assert Path("AB.json").read_bytes() == Path("BA.json").read_bytes()
    assert json.loads(Path("AB.json").read_text()) == {
        "recipe_id": found["recipe_id"], "accept": "identical", "keys": sorted(accepted)
    }  # fmt: skip
    subset_id = json.loads(said)["subset_id"]

    # On it team B is complete, and either team's sets can be scored on it.
    again = thaw(recipe, other.corpora, tmp_path / "c", "--subset", "BA.json")
    assert again["complete"] and again["tally"]["n_examples"] == len(accepted)
    run("verify", ours, "a", "b", "c", recipe, "--subset", "AB.json", "--jobs", 1)

    # Both score the same tagger on it: ids, tables and every figure per SNR are equal.
    a = scored(tagger, ours, "a.out", "--subset", "AB.json")
    shutil.copytree(tagger, tmp_path / "b.run/tagger")
    b = scored(tmp_path / "b.run/tagger", theirs, "b.out", "--subset", "BA.json")
    c = scored(tmp_path / "b.run/tagger", tmp_path / "c", "c.out", "--subset", "BA.json")
    assert a.file.set.recipe_id == found["recipe_id"] and a.file.set.subset_id == subset_id
    assert tuple(member.member for member in a.file.figures.members) == MEMBERS
    assert a.file.figures.n_clips == len(accepted) and a.file.figures.n_tags == 4
    for score in (b, c):
        # The hash of what was planned tells the sets apart, one that lacks examples from the whole.
        assert replace(score.file, set=a.file.set) == a.file
        assert replace(score.file.set, plan_id=a.file.set.plan_id) == a.file.set
        assert Path(score.url).name == Path(a.url).name == f"{SET_NAME}.{subset_id[:12]}.scores"

    # `train compare` takes both files, and the paired difference is nothing, in every draw.
    shutil.copytree(tagger / "checkpoints/best", tmp_path / "sent/checkpoints/best")
    sent = scored(tmp_path / "sent/checkpoints/best", theirs, "sent.out", "--subset", "BA.json")
    compared = json.loads(train("compare", a.url, sent.url, "--json", "--out", "table"))
    assert compared["rows"] == ["tagger", "sent"]
    (note,) = compared["sets"]
    assert (note["recipe_id"], note["subset_id"]) == (found["recipe_id"], subset_id)
    (difference,) = compared["differences"]
    assert (difference["reference"], difference["row"]) == ("tagger", "sent")
    assert [d["member"] for d in difference["differences"]] == [*MEMBERS, "noisy mean"]
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0}
    for d in [*difference["differences"], *map(asdict, compare_pair(a, b).differences)]:
        assert d["auc"] == d["ap"] == nothing, d["member"]

    # Scores on the whole set, or on another subset, are not compared with those on the subset.
    keys = sorted(accepted)[1:]
    Path("fewer.json").write_text(
        json.dumps({"accept": "identical", "keys": keys, "recipe_id": found["recipe_id"]})
    )
    whole = scored(tagger, ours, "whole.out")
    fewer = scored(tagger, theirs, "fewer.out", "--subset", "fewer.json")
    for score in (whole, fewer):
        with pytest.raises(ManifestError, match="tagger and sent: expected one subset id, got"):
            compare_pair(score, sent)
    said = train("compare", whole.url, sent.url, "--out", "apart", code=1)
    assert "expected runs scored on one subset, got" in said


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
    ids = {
        json.loads((folder / "recipe.json").read_bytes())["recipe_id"]
        for folder in (recipe, recipe.parent / "set", tmp_path / "thawed")
    }
    assert ids == {found["recipe_id"]}


def test_thaw_says_what_it_found_before_it_renders(recipe: Path, other: TeamB) -> None:
    done = run("thaw", recipe, *roots(other.corpora), "--match-only", "--jobs", 1, code=1)
    assert "12 sources: 6 found by name, 1 by content, 1 by sound, 3 with" in done.stdout
    assert "clips/clip01: missing" in done.stdout
    run("thaw", recipe, *roots(other.corpora), "--jobs", 1, code=2)
