"""A second run over what an interrupted, damaged or incomplete one left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import MakePlan, Roots, set_hashes, stamps

from manifests.errors import ManifestError
from pipeline.config import RunOptions
from pipeline.planned import Plan
from pipeline.shard_task import ShardDone, build_shard
from pipeline.stages.build import build_set


def interrupted(plan: Plan, out: Path, roots: Roots, patch: pytest.MonkeyPatch) -> None:
    """Begin a build and stop it after the second shard."""
    calls = []

    def stop(*arguments: Any) -> ShardDone:
        calls.append(arguments)
        if len(calls) > 2:
            raise ManifestError("stopped")
        return build_shard(*arguments)

    with patch.context() as inner:
        inner.setattr("pipeline.stages.build.build_shard", stop)
        with pytest.raises(ManifestError, match="stopped"):
            build_set(plan, str(out), roots)
    assert not (out / "index.json").exists() and len(list(out.glob("*.tar"))) == 2


def test_an_interrupted_build_keeps_its_shards_and_ends_with_the_same_bytes(
    built: Path, plan: Plan, tmp_path: Path, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "half"
    interrupted(plan, out, roots, monkeypatch)
    before = stamps(out)
    summary = build_set(plan, str(out), roots)
    assert summary.n_resumed == 2
    after = stamps(out)
    assert all(after[n] == t for n, t in before.items() if n.startswith("shard-"))
    assert set_hashes(out) == set_hashes(built)
    assert not list(out.glob(".*"))


def test_a_tar_without_its_sidecar_is_built_again(
    built: Path, plan: Plan, tmp_path: Path, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "half"
    interrupted(plan, out, roots, monkeypatch)
    (out / "shard-000000.json").unlink()
    with (out / "shard-000001.tar").open("ab") as file:
        file.write(b"more")
    assert build_set(plan, str(out), roots).n_resumed == 0
    assert set_hashes(out) == set_hashes(built)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null", '{"file": "../../etc/passwd"}'])
def test_a_damaged_sidecar_is_no_done_marker(
    built: Path,
    plan: Plan,
    tmp_path: Path,
    roots: Roots,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    out = tmp_path / "half"
    interrupted(plan, out, roots, monkeypatch)
    (out / "shard-000000.json").write_text(text)
    assert build_set(plan, str(out), roots).n_resumed == 1
    assert set_hashes(out) == set_hashes(built)


def test_partial_files_of_a_killed_run_go(
    built: Path, plan: Plan, tmp_path: Path, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "half"
    interrupted(plan, out, roots, monkeypatch)
    (out / ".shard-000004.tar.4711.partial").write_bytes(b"half")
    (out / ".plan/.plan.json.4711.partial").write_bytes(b"half")
    build_set(plan, str(out), roots)
    assert set_hashes(out) == set_hashes(built)


@pytest.mark.parametrize("lost", ["shard-000001.tar", "shard-000002.json", "examples.parquet"])
def test_a_finished_set_that_lost_a_file_is_mended(
    built: Path, copy: Path, plan: Plan, roots: Roots, lost: str
) -> None:
    (copy / lost).unlink()
    build_set(plan, str(copy), roots)
    assert set_hashes(copy) == set_hashes(built)


def test_a_finished_set_with_a_cut_shard_is_mended(
    built: Path, copy: Path, plan: Plan, roots: Roots
) -> None:
    path = copy / "shard-000003.tar"
    path.write_bytes(path.read_bytes()[:-10240])
    build_set(plan, str(copy), roots)
    assert set_hashes(copy) == set_hashes(built)


def test_a_plan_folder_that_a_kill_left_behind_goes(
    built: Path, copy: Path, plan: Plan, roots: Roots
) -> None:
    """Killed between the index and the removal of the plan folder."""
    (copy / ".plan").mkdir()
    (copy / ".plan/plan.json").write_text("{}")
    assert build_set(plan, str(copy), roots).n_resumed == 5
    assert set_hashes(copy) == set_hashes(built)


def test_killed_before_the_plan_was_written(
    built: Path, plan: Plan, tmp_path: Path, roots: Roots
) -> None:
    (tmp_path / "out/.plan").mkdir(parents=True)
    (tmp_path / "out/.plan/.plan.json.7.partial").write_text("{")
    build_set(plan, str(tmp_path / "out"), roots)
    assert set_hashes(tmp_path / "out") == set_hashes(built)


def test_a_damaged_plan_says_what_to_do(
    plan: Plan, tmp_path: Path, roots: Roots, monkeypatch: pytest.MonkeyPatch, built: Path
) -> None:
    out = tmp_path / "half"
    interrupted(plan, out, roots, monkeypatch)
    (out / ".plan/plan.json").write_text('{"format": "of another version"}')
    with pytest.raises(ManifestError, match=r"plan\.json.*; choose another --out or --overwrite$"):
        build_set(plan, str(out), roots)
    build_set(plan, str(out), roots, run=RunOptions(overwrite=True))
    assert set_hashes(out) == set_hashes(built)


def test_a_damaged_index_says_what_to_do(built: Path, copy: Path, plan: Plan, roots: Roots) -> None:
    (copy / "index.json").write_text("{}")
    with pytest.raises(ManifestError, match=r"index\.json.*; choose another --out or --overwrite$"):
        build_set(plan, str(copy), roots)
    build_set(plan, str(copy), roots, run=RunOptions(overwrite=True))
    assert set_hashes(copy) == set_hashes(built)


def test_an_unfinished_set_of_other_options_is_refused_too(
    plan: Plan, make_plan: MakePlan, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(plan, tmp_path / "half", roots, monkeypatch)
    with pytest.raises(
        ManifestError, match=r"holds a set of another option: .*limit was None, now"
    ):
        build_set(make_plan(limit=2, snrs_db=(0.0,)), str(tmp_path / "half"), roots)
