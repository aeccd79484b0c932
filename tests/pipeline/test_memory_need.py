"""Plans of long excerpts say what memory they take before anything is rendered."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_clips import NO_TAGS, clip, noises, scan_of
from tiny_corpora import MakePlan, Roots

import pipeline.memory_need
from pipeline.config import RunOptions, SetConfig
from pipeline.memory_need import available_bytes, memory_note
from pipeline.planned import Plan
from pipeline.stages.build import build_set
from pipeline.stages.plan import plan_set


def whole_plan(*hours: float, noise: bool = True, per_shard: int = 1) -> Plan:
    config = SetConfig(
        music=("folder",),
        noise=("musan",) if noise else (),
        excerpt_s="whole",
        examples_per_shard=per_shard,
    )
    clips = [clip(f"c{n}", 3_600 * length) for n, length in enumerate(hours)]
    found = [scan_of(noises(4), "musan")] if noise else []
    return plan_set(config, [scan_of(clips)], found, NO_TAGS, band_hz=None)


def test_the_longest_excerpts_decide() -> None:
    plan = whole_plan(0.01, 2.0, 0.02, 1.0)
    two_hours = 2 * 3_600 * 22_050 * 100
    assert memory_note(plan, 1, available=two_hours) is None
    assert memory_note(plan, 1, available=two_hours - 1) == (
        "c1.wav: its excerpt of 2.0 h is rendered in one piece: 1 worker may need 16 GB of memory, "
        "this machine has 16 GB left; use --excerpt-s 30 (any length that fits) or fewer --jobs"
    )
    note = memory_note(plan, 2, available=two_hours)
    assert note is not None and "2 workers may need 24 GB" in note
    assert memory_note(whole_plan(0.01), 64) is None


def test_a_shard_is_one_workers_and_recordings_take_less() -> None:
    together = whole_plan(2.0, 1.0, per_shard=64)
    note = memory_note(together, 8, available=0)
    assert note is not None and "1 worker may need 16 GB" in note, "one after the other"
    note = memory_note(whole_plan(2.0, noise=False), 8, available=0)
    assert note is not None and "1 worker may need 4 GB" in note


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.memory_need, "_CGROUP", tmp_path)
    machine = available_bytes()
    (tmp_path / "memory.stat").write_text("anon 7\ninactive_file 500000\n")
    for limit, used, left in (("5000000\n", "1000000\n", 4_500_000), ("10", "999999", 0)):
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text(used)
        assert available_bytes() == left
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() == pytest.approx(machine, rel=0.5)


def test_a_build_warns_and_goes_on(
    make_plan: MakePlan,
    roots: Roots,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    little = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=1_000))
    monkeypatch.setattr(pipeline.memory_need, "psutil", little)
    plan = make_plan(limit=2)
    with caplog.at_level(logging.WARNING):
        build_set(plan, str(tmp_path / "set"), roots, run=RunOptions())
        build_set(plan, str(tmp_path / "set"), roots, run=RunOptions())
    assert [r.message.partition(": ")[2][:14] for r in caplog.records] == ["its excerpt of"], "once"
