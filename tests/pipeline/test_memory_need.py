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
from pipeline.memory_need import memory_note
from pipeline.planned import Plan
from pipeline.stages.build import build_set
from pipeline.stages.plan import plan_set


def whole_plan(*hours: float) -> Plan:
    config = SetConfig(music=("folder",), noise=("musan",), excerpt_s="whole")
    clips = [clip(f"c{n}", 3_600 * length) for n, length in enumerate(hours)]
    return plan_set(config, [scan_of(clips)], [scan_of(noises(4), "musan")], NO_TAGS, band_hz=None)


def test_the_longest_excerpts_decide() -> None:
    plan = whole_plan(0.01, 2.0, 0.02, 1.0)
    two_hours = 2 * 3_600 * 22_050 * 64
    assert memory_note(plan, 1, available=two_hours) is None
    assert memory_note(plan, 1, available=two_hours - 1) == (
        "c1.wav: its excerpt of 2.0 h is rendered in one piece: 1 worker may need 10 GB of memory, "
        "this machine has 10 GB left; use --excerpt-s 30 (any length that fits) or fewer --jobs"
    )
    note = memory_note(plan, 2, available=two_hours)
    assert note is not None and "2 workers may need 15 GB" in note
    assert memory_note(whole_plan(0.01), 64) is None


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
