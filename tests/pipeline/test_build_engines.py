"""The same bytes from one process, from loky workers, from dask, and in any order of tasks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import MakePlan, Roots, set_hashes

from pipeline.config import RunOptions
from pipeline.planned import Plan
from pipeline.stages.build import build_set


@pytest.fixture(scope="module")
def small(make_plan: MakePlan) -> Plan:
    """Six shards of two examples."""
    return make_plan(noises=4, examples_per_shard=2, snrs_db=(5.0, -5.0))


@pytest.fixture(scope="module")
def one_process(
    small: Plan, roots: Roots, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    out = tmp_path_factory.mktemp("one") / "set"
    build_set(small, str(out), roots, run=RunOptions(jobs=1))
    return set_hashes(out)


def test_two_loky_workers(
    small: Plan, roots: Roots, one_process: dict[str, str], tmp_path: Path
) -> None:
    summary = build_set(small, str(tmp_path / "set"), roots, run=RunOptions(jobs=2))
    assert summary.n_resumed == 0
    assert set_hashes(tmp_path / "set") == one_process


def test_two_loky_workers_and_a_relative_root(
    small: Plan,
    roots: Roots,
    one_process: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Workers that were started elsewhere: their working directory is not ours."""
    (tmp_path / "links").mkdir()
    for role, name in (("music", "folder"), ("noise", "folder")):
        (tmp_path / "links" / role).symlink_to(roots[role][name])
    monkeypatch.chdir(tmp_path)
    relative = {role: {"folder": f"links/{role}"} for role in ("music", "noise")}
    build_set(small, "set", relative, run=RunOptions(jobs=2))
    assert set_hashes(tmp_path / "set") == one_process


def test_tasks_in_any_order(
    small: Plan,
    roots: Roots,
    one_process: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def shuffled(function: Any, arguments: list[Any], **_: Any) -> Iterator[Any]:
        mixed = list(arguments)
        random.Random(7).shuffle(mixed)
        assert mixed != arguments
        return map(lambda args: function(*args), mixed)

    monkeypatch.setattr("pipeline.stages.build.run_tasks", shuffled)
    build_set(small, str(tmp_path / "set"), roots)
    assert set_hashes(tmp_path / "set") == one_process


def test_without_audit_the_bytes_are_the_same(
    small: Plan, roots: Roots, one_process: dict[str, str], tmp_path: Path
) -> None:
    build_set(small, str(tmp_path / "set"), roots, run=RunOptions(audit=False))
    assert set_hashes(tmp_path / "set") == one_process


def test_a_dask_cluster_on_this_machine(
    small: Plan, roots: Roots, one_process: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    run = RunOptions(jobs=2, engine="dask")
    build_set(small, str(tmp_path / "set"), roots, run=run)
    assert set_hashes(tmp_path / "set") == one_process
