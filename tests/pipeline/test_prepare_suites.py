"""Single sets and suites: one scan, one band, one vocabulary, the same keys on the same music."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plain_reader import read_set
from tiny_clips import NO_TAGS, clip, levels, noises, scan_of
from tiny_corpora import Corpora, MakePlan, Roots, write_table

from manifests.errors import ManifestError, UsageError
from pipeline.cli.plan import tags_and_notes
from pipeline.config import RunOptions, SetConfig
from pipeline.planned import Plan
from pipeline.progress import SilentReporter
from pipeline.sources import Sources
from pipeline.stages.build import build_set
from pipeline.stages.plan import plan_set
from pipeline.stages.prepare import agree_on_keys, default_name, plan_suite
from pipeline.suite_spec import SuiteSpec, load_suite_spec, suite_names
from pipeline.tags import TagFilter

SPEC = SuiteSpec(
    name="tiny",
    description="two test sets on the same music, and a training set",
    band_limit="auto",
    sets={
        "train": {"music": ("folder",), "noise": ("folder",), "split": "train",
                  "noise_split": "train", "snrs_db": (-10.0,)},
        "test-folder": {"music": ("folder",), "noise": ("folder",), "split": "test",
                        "noise_split": "test"},
        "test-musan": {"music": ("folder",), "noise": ("musan",), "split": "test",
                       "noise_split": "test"},
        "needs-more": {"music": ("mtat",), "noise": ("audioset",), "split": "test",
                       "noise_split": "test"},
    },
)  # fmt: skip


def suite(
    corpora: Corpora, counts: Sequence[int] = (1,), spec: SuiteSpec = SPEC, **fields: Any
) -> tuple[dict[int, dict[str, Plan]], list[str]]:
    sources = Sources(
        music={"folder": str(corpora.music)},
        noise={"folder": str(corpora.noise), "musan": str(corpora.musan)},
    )
    base = SetConfig(examples_per_shard=3, snrs_db=(10.0, -10.0), **fields)
    run = RunOptions()
    return plan_suite(spec, base, sources, TagFilter(), run, SilentReporter(), noise_counts=counts)


def keys(plan: Plan) -> list[str]:
    return [row.key for row in plan.rows]


def test_roles_names_and_what_is_left_out(corpora: Corpora) -> None:
    plans, left_out = suite(corpora, (1, 2, 4))
    assert list(plans) == [1, 2, 4]
    assert all(list(p) == ["train", "test-folder", "test-musan"] for p in plans.values())
    assert left_out == ["needs-more: needs --music mtat and --noise audioset"]
    assert plans[2]["test-musan"].config.name == "tiny-test-musan-k2"
    assert plans[4]["train"].config.noises == 4 and len(plans[4]["train"].rows[0].noises) == 4
    assert plans[1]["train"].config.snrs_db == (-10.0,)
    assert plans[1]["test-musan"].config.corpus_options == {
        "folder_csv": None, "folder_split": "any", "musan_subset": "noise",
        "musan_unlicensed": "drop",
    }  # fmt: skip


def test_sets_on_the_same_music_hold_the_same_keys_for_every_k(corpora: Corpora) -> None:
    plans, _ = suite(corpora, (1, 2, 4))
    for k in (1, 2, 4):
        for role in ("test-folder", "test-musan"):
            assert keys(plans[k][role]) == keys(plans[1]["test-folder"])
    assert not set(keys(plans[1]["train"])) & set(keys(plans[1]["test-folder"]))


def test_one_band_for_the_whole_suite(corpora: Corpora) -> None:
    """MUSAN's 16 kHz sets it, for the sets that do not use MUSAN too."""
    plans, _ = suite(corpora)
    assert {plan.band_hz for plan in plans[1].values()} == {7200.0}
    plans, _ = suite(corpora, band_limit="off")
    assert {plan.band_hz for plan in plans[1].values()} == {None}


def test_each_set_notes_the_leaks_of_its_own_corpora(corpora: Corpora, tmp_path: Path) -> None:
    noise = Path(shutil.copytree(corpora.noise, tmp_path / "noise"))
    shutil.copy(noise / "noise0.wav", noise / "again.wav")
    splits = {"noise0.wav": "train", "again.wav": "test"}
    write_table(noise, [f"{p.name},{splits.get(p.name, '')},,,," for p in noise.glob("*.wav")])
    plans, _ = suite(replace(corpora, noise=noise), (1, 2))
    artists = "leak: same artist in test and train: 3 (folder artist0; folder artist1; folder "
    same = "leak: same file in test and train: 1 (folder again = folder noise0)"
    for roles in plans.values():
        assert {role: [note for note in plan.notes if "leak" in note]
                for role, plan in roles.items()} == {
            "train": [same, f"{artists}artist2)"],
            "test-folder": [same, f"{artists}artist2)"],
            "test-musan": [f"{artists}artist2)"],
        }  # fmt: skip
    lines = tags_and_notes([plan for roles in plans.values() for plan in roles.values()])
    assert lines[0] == "tags of folder:"
    assert [line for line in lines if "leak" in line] == [f"  {same}", f"  {artists}artist2)"]


def test_no_role_at_all_is_wrong_use(corpora: Corpora) -> None:
    only = replace(SPEC, sets={"needs-more": SPEC.sets["needs-more"]})
    with pytest.raises(UsageError) as caught:
        suite(corpora, spec=only)
    assert str(caught.value) == (
        "--suite tiny: no set can be built: needs-more: needs --music mtat and --noise audioset"
    )


@pytest.fixture
def differing() -> dict[int, dict[str, Plan]]:
    """Plans that reject different examples: those whose noise is two clicks in silence."""
    music = [scan_of([clip(f"c{i:02d}", split="test") for i in range(40)])]
    smooth, quiet = noises(20, level_db=-20, peak=0.2), levels((200, -55))
    peaky = [*smooth[2:], *(replace(n, rms_db=quiet, peak=1.0) for n in smooth[:2])]
    plans: dict[int, dict[str, Plan]] = {}
    for k in (1, 4):
        config = SetConfig(music=("folder",), noise=("folder",), split="test", noises=k)
        plans[k] = {
            role: plan_set(config, music, [scan_of(noise)], NO_TAGS, band_hz=None)
            for role, noise in (("smooth", smooth), ("peaky", peaky))
        }
    return plans


def test_rejects_that_differ_leave_the_common_keys(differing: dict[int, dict[str, Plan]]) -> None:
    found = [set(keys(plan)) for roles in differing.values() for plan in roles.values()]
    common = set.intersection(*found)
    assert 0 < len(common) < max(map(len, found)), "the example needs rejects that differ"
    agreed = agree_on_keys(differing, None)
    for k, roles in agreed.items():
        for role, plan in roles.items():
            assert set(keys(plan)) == common
            lost = len(differing[k][role].rows) - len(common)
            expected = f": {lost} examples left out, as other sets on the same music reject them"
            assert any(note.endswith(expected) for note in plan.notes) is (lost > 0)
            before = {row.key: row for row in differing[k][role].rows}
            assert all(replace(r, shard=0) == replace(before[r.key], shard=0) for r in plan.rows)


def test_limit_is_applied_to_what_all_sets_share(differing: dict[int, dict[str, Plan]]) -> None:
    """Not before: each set would take other examples instead of its own rejects."""
    whole = keys(agree_on_keys(differing, None)[1]["smooth"])
    assert len(whole) > 5
    for limit in (1, 3, 5):
        for roles in agree_on_keys(differing, limit).values():
            for plan in roles.values():
                assert keys(plan) == whole[:limit] and plan.config.limit == limit


def test_sets_on_other_music_are_left_alone(corpora: Corpora) -> None:
    plans, _ = suite(corpora, limit=3)
    assert [len(plan.rows) for plan in plans[1].values()] == [3, 3, 3]


def test_nothing_in_common_says_why() -> None:
    config = SetConfig(name="s", music=("folder",), noise=("folder",), split="test")
    scans = [scan_of(noises(3))]
    plans = [
        plan_set(config, [scan_of([clip(name, split="test")])], scans, NO_TAGS, band_hz=None)
        for name in ("a", "b")
    ]
    with pytest.raises(
        ManifestError, match="s: expected examples that all sets on folder test can"
    ):
        agree_on_keys({1: {"a": plans[0], "b": plans[1]}}, None)


def test_noises_of_a_suite_are_nested(corpora: Corpora) -> None:
    plans, _ = suite(corpora, (1, 2, 4))
    for role in ("train", "test-folder", "test-musan"):
        rows = [{row.key: row.noises for row in plans[k][role].rows} for k in (1, 2, 4)]
        for key, one in rows[0].items():
            assert one == rows[1][key][:1] and rows[1][key] == rows[2][key][:2]


def test_a_built_suite_shares_its_clean_members_up_to_the_gain(
    corpora: Corpora, roots: Roots, tmp_path: Path
) -> None:
    plans, _ = suite(corpora)
    found = {}
    for role in ("test-folder", "test-musan"):
        build_set(plans[1][role], str(tmp_path / role), roots)
        found[role] = {e.key: e for e in read_set(tmp_path / role)}
    assert found["test-folder"].keys() == found["test-musan"].keys()
    for key, one in found["test-folder"].items():
        other = found["test-musan"][key]
        ratio = 10 ** ((other.record["gain_db"] - one.record["gain_db"]) / 20)
        difference = other.pcm["clean"] - one.pcm["clean"] * ratio
        assert abs(difference).max() <= 0.5 + 0.5 * ratio + 0.01


def test_default_names() -> None:
    config = SetConfig(music=("mtat", "folder"), split="test")
    assert default_name(config) == "mtat-folder-test-recordings"
    assert (
        default_name(replace(config, noise=("musan",), noises=4)) == "mtat-folder-test-x-musan-k4"
    )


def test_a_single_set_records_what_was_asked_of_corpora_and_tags(
    make_plan: MakePlan, tmp_path: Path, corpora: Corpora
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("piano\nrock\n")
    table = tmp_path / "table.csv"
    table.write_text((corpora.music / "metadata.csv").read_text())
    filters = TagFilter(select=str(names), min_clips=1, drop=("rock",))
    plan = make_plan(recordings=True, tags=filters, corpus_options={"folder_csv": str(table)})

    assert plan.config.tag_options == {
        "select": "sha256:" + hashlib.sha256(b"piano\nrock\n").hexdigest(),
        "min_clips": 1, "merge": None, "drop": ["rock"],
    }  # fmt: skip
    assert plan.config.corpus_options["folder_csv"] == (
        "sha256:" + hashlib.sha256(table.read_bytes()).hexdigest()
    )
    assert plan.vocabulary.names == ("piano",)


def test_checked_in_suites_load() -> None:
    assert suite_names() == ["demo", "thesis", "thesis-compact"]
    for name in suite_names():
        spec = load_suite_spec(name)
        assert {"train", "valid", "test-audioset", "test-musan"} <= spec.sets.keys()
        for values in spec.sets.values():
            SetConfig(**values)
    compact = load_suite_spec("thesis-compact").sets
    assert compact["train"]["snrs_db"] == (-10.0,) and len(compact["test-musan"]["snrs_db"]) == 5
    assert load_suite_spec("thesis").band_limit == "off"


def test_an_unknown_suite_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="--suite x: expected one of demo, thesis, thesis-compact"):
        load_suite_spec("x")
