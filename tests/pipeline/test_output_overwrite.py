"""Builds into folders that hold something: --overwrite, thaws, recipes, other vocabularies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from prep_runner import run_prep
from test_output_resume import interrupted
from tiny_corpora import Corpora, MakePlan, Roots, set_hashes, stamps

from manifests.errors import ManifestError
from pipeline.config import RunOptions
from pipeline.planned import Plan
from pipeline.stages.build import build_set

OVERWRITE = RunOptions(overwrite=True)


@pytest.fixture
def small(make_plan: MakePlan) -> Plan:
    return make_plan(limit=2, snrs_db=(0.0,))


def test_an_interrupted_overwrite_goes_on(
    copy: Path, make_plan: MakePlan, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_plan(noises=2, examples_per_shard=3, seed=7)
    build_set(other, str(tmp_path / "fresh"), roots)
    with monkeypatch.context() as patch:
        patch.setattr("test_output_resume.build_set", overwriting)
        interrupted(other, copy, roots, patch)
    assert build_set(other, str(copy), roots, run=OVERWRITE).n_resumed == 2
    assert set_hashes(copy) == set_hashes(tmp_path / "fresh")


def overwriting(plan: Plan, out: str, roots: Roots) -> None:
    build_set(plan, out, roots, run=OVERWRITE)


def test_overwrite_leaves_a_whole_set_of_the_same_plan(
    copy: Path, plan: Plan, roots: Roots
) -> None:
    (copy / "recipe.json").write_text("{}")  # it was frozen
    before = stamps(copy)
    assert build_set(plan, str(copy), roots, run=OVERWRITE).n_resumed == 5
    assert stamps(copy) == before


@pytest.mark.parametrize("name", ["shard-000001.tar", "shard-000003.json", "examples.parquet"])
def test_overwrite_builds_again_what_is_damaged(
    built: Path, copy: Path, plan: Plan, roots: Roots, name: str
) -> None:
    """A changed byte, which no size tells; a plain run takes the set as done."""
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    before = stamps(copy)
    build_set(plan, str(copy), roots)
    assert stamps(copy) == before
    assert build_set(plan, str(copy), roots, run=OVERWRITE).n_resumed == 4 + (
        name == "examples.parquet"
    )
    assert set_hashes(copy) == set_hashes(built)


@pytest.mark.parametrize("text", ["", "no manifest", "../x  y\n"])
def test_overwrite_mends_a_damaged_manifest(
    built: Path, copy: Path, plan: Plan, roots: Roots, text: str
) -> None:
    (copy / "manifest-sha256.txt").write_text(text)
    build_set(plan, str(copy), roots, run=OVERWRITE)
    assert set_hashes(copy) == set_hashes(built)


def test_an_interrupted_thaw_is_no_build(tmp_path: Path, small: Plan, roots: Roots) -> None:
    out = tmp_path / "out"
    (out / ".plan").mkdir(parents=True)
    (out / ".plan/thaw.json").write_text("{}")
    for name in ("shard-000000.tar", "shard-000000.json"):
        (out / name).write_text("theirs")
    before = set_hashes(out)
    with pytest.raises(ManifestError) as caught:
        build_set(small, str(out), roots)
    assert str(caught.value) == (
        f"{out}: holds the beginning of a thaw; choose another --out or --overwrite"
    )
    assert set_hashes(out) == before
    (out / ".plan/thaw.json").rename(out / ".plan/verdicts-000000.json")
    with pytest.raises(ManifestError, match=r"of a set of another kind \(verdicts-000000\.json\)"):
        build_set(small, str(out), roots)
    build_set(small, str(out), roots, run=OVERWRITE)
    assert (out / "index.json").exists()


def test_the_rest_of_a_removal_that_was_killed_goes(
    built: Path, copy: Path, plan: Plan, roots: Roots
) -> None:
    (copy / "index.json").unlink()
    (copy / ".plan").mkdir()
    (copy / ".plan/shard-000001.jsonl").write_text("")
    (copy / ".plan/.plan.json.7.partial").write_text("")
    build_set(plan, str(copy), roots)
    assert set_hashes(copy) == set_hashes(built)


@pytest.mark.parametrize("run", [RunOptions(), OVERWRITE], ids=["plain", "overwrite"])
def test_a_recipe_with_audio_is_no_output(
    copy: Path, plan: Plan, roots: Roots, run: RunOptions
) -> None:
    for name in ("recipe.json", "plan.jsonl"):
        (copy / name).write_text("{}\n")
    before = set_hashes(copy)
    with pytest.raises(ManifestError, match="expected a set or an empty folder, found a recipe"):
        build_set(plan, str(copy), roots, run=run)
    assert set_hashes(copy) == before


def test_another_vocabulary_is_refused(corpora: Corpora, tmp_path: Path) -> None:
    """A tag of a clip in train changes no row of test, but the set's tags."""
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    arguments = ("build-shards", "--music", f"folder={music}", "--noise",
                 f"folder={corpora.noise}", "--split", "test", "--noise-split", "train", "--snr", 0,
                 "--limit", 1, "--jobs", 1, "--out", tmp_path / "set")  # fmt: skip
    assert run_prep(*arguments).status == 0
    before = set_hashes(tmp_path / "set")
    table = (music / "metadata.csv").read_text()
    assert ",train,guitar," in table
    (music / "metadata.csv").write_text(table.replace(",train,guitar,", ",train,guitar;oboe,", 1))
    ran = run_prep(*arguments)
    assert ran.status == 1 and ran.error == (
        f"prep: {tmp_path}/set: holds a set of another tag vocabulary: now also oboe (was 4 tags, "
        "now 5); choose another --out or --overwrite"
    )
    assert set_hashes(tmp_path / "set") == before
    assert run_prep(*arguments, "--overwrite").status == 0
    assert "oboe" in json.loads((tmp_path / "set/index.json").read_text())["tags"]


def test_a_foreign_folder_is_refused_before_the_scan(
    corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    monkeypatch.setattr("pipeline.cli.build.make_plans", lambda *_: pytest.fail("too late"))
    ran = run_prep("build-shards", "--music", f"folder={corpora.music}", "--noise", "none",
                   "--split", "test", "--out", tmp_path)  # fmt: skip
    assert ran.status == 1 and "expected a new folder, an empty one or a set, found" in ran.error


def test_a_suite_keeps_roles_that_were_built_before(
    corpora: Corpora, mtat: Path, tmp_path: Path
) -> None:
    out = tmp_path / "suite"
    arguments = ("build-shards", "--suite", "thesis", "--music", f"mtat={mtat}", "--noise",
                 f"musan={corpora.musan}", "--jobs", 1, "--out", out)  # fmt: skip
    assert run_prep(*arguments).status == 0
    shutil.copytree(out / "k1/test-musan", out / "k1/valid-set")
    roles = {"test-musan": "test-musan", "valid": "valid-set", "train": "gone"}
    (out / "k1/suite.json").write_text(json.dumps(roles))
    assert run_prep(*arguments).status == 0
    suite = json.loads((out / "k1/suite.json").read_text())
    assert suite == {"test-musan": "test-musan", "valid": "valid-set"}
    (out / "k1/suite.json").write_text("[")
    assert run_prep(*arguments).status == 0
    assert json.loads((out / "k1/suite.json").read_text()) == {"test-musan": "test-musan"}


def test_every_folder_of_a_suite_is_checked_before_the_first_is_built(
    corpora: Corpora, mtat: Path, tmp_path: Path
) -> None:
    out = tmp_path / "suite"
    (out / "k2/test-musan").mkdir(parents=True)
    (out / "k2/test-musan/thesis.tex").write_text("mine")
    ran = run_prep("build-shards", "--suite", "thesis", "--music", f"mtat={mtat}", "--noise",
                   f"musan={corpora.musan}", "--noises", "1,2", "--jobs", 1,
                   "--out", out)  # fmt: skip
    assert ran.status == 1 and f"{out}/k2/test-musan: expected a new folder" in ran.error
    assert not (out / "k1").exists()
