"""Whether a set feeds a training job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prep_runner import run_prep
from tiny_clips import NO_TAGS, clip, noises, scan_of

from manifests.errors import UsageError
from manifests.rows import TARGET
from pipeline.config import SetConfig
from pipeline.planned import Plan
from pipeline.stages.plan import plan_set
from pipeline.topology import LEAST_BATCH, Topology, feeds
from trainer.data.index import ExampleRef
from trainer.data.plan import BatchPlan

DOCUMENT = Path(__file__).parents[2] / "docs" / "cluster.md"
ONE_EXAMPLE = ExampleRef("set", "shard-000000.tar", 0, 0, "key", "flac", 1, TARGET, "", "", (), ())


def plan_of(n_clips: int, **fields: object) -> Plan:
    config = SetConfig(music=("folder",), noise=("folder",), **fields)  # type: ignore[arg-type]
    music = [scan_of([clip(f"c{i}", split=config.split) for i in range(n_clips)])]
    return plan_set(config, music, [scan_of(noises(3))], NO_TAGS, band_hz=None)


def counts(plan: Plan) -> tuple[int, int]:
    domains = [row.domain for row in plan.rows]
    return domains.count("source"), domains.count("target")


def test_enough_for_every_rank() -> None:
    plan = plan_of(100)
    source, target = counts(plan)
    verdict = feeds(plan, Topology(2, 2, 3, 5))
    assert verdict.enough
    assert verdict.line == (
        f"feeds 2 x 2 ranks x 3 workers: source {source // 4} a rank ({source // 4 // 5} batches "
        f"of 5, {source % 20} left over); target {target // 4} a rank ({target // 4 // 5} batches "
        f"of 5, {target % 20} left over)"
    )


def test_too_few_says_what_would_do() -> None:
    plan = plan_of(60)
    smallest = min(counts(plan))
    verdict = feeds(plan, Topology(1, 4, 2, 16))
    assert not verdict.enough and verdict.line.startswith("does not feed 1 x 4 ranks x 2 workers")
    assert (
        f"too few: {smallest} examples of {smallest} songs for a global batch of 64" in verdict.line
    )
    assert "use at most 1 ranks of 16, or batches of at most" in verdict.line


def test_the_batch_that_is_advised_fits() -> None:
    plan = plan_of(40)
    advised = min(counts(plan)) // 4
    assert feeds(plan, Topology(1, 4, 1, advised)).enough
    assert not feeds(plan, Topology(1, 4, 1, advised + 1)).enough


def test_a_half_without_any_song_is_too_few() -> None:
    """One song lies in one half; the other is empty."""
    verdict = feeds(plan_of(1), Topology(1, 1, 1, 2))
    assert not verdict.enough
    assert "too few: 0 examples of 0 songs for a global batch of 2" in verdict.line
    assert "at most 0" not in verdict.line


def test_evaluation_sets_serve_any_number_of_ranks() -> None:
    verdict = feeds(plan_of(3, split="test", noise_split="test"), Topology(8, 8, 8, 512))
    assert verdict.enough and verdict.line == "evaluation set: any number of ranks"


def test_a_set_of_targets_alone_needs_no_source() -> None:
    verdict = feeds(plan_of(20, halves="target"), Topology(1, 2, 1, 10))
    assert verdict.enough and "source" not in verdict.line


def set_of(**halves: Sequence[int]) -> Plan:
    """A set whose halves hold so many excerpts of each song."""
    plan = plan_of(1, halves="both" if "source" in halves else "target")
    (row,) = plan.rows
    rows = [
        replace(row, domain=domain, music=replace(row.music, song=f"{domain} {song}"))
        for domain, song_counts in halves.items()
        for song in songs_of(song_counts)
    ]
    return replace(plan, rows=tuple(rows))


def songs_of(song_counts: Sequence[int]) -> list[str]:
    return [f"s{number}" for number, count in enumerate(song_counts) for _ in range(count)]


def trainer_batches(song_counts: Sequence[int], ranks: int, batch_size: int) -> int:
    """How many batches the trainer makes of a pass; 0 where it refuses."""
    refs = [replace(ONE_EXAMPLE, song=song) for song in songs_of(song_counts)]
    try:
        return BatchPlan("x", refs, batch_size=batch_size, seed=0, world_size=ranks).steps_per_pass
    except UsageError:
        return 0


@settings(deadline=None)
@given(
    song_counts=st.lists(st.integers(1, 6), min_size=1, max_size=40),
    ranks=st.integers(1, 4),
    batch_size=st.integers(LEAST_BATCH, 12),
)
def test_the_plan_says_what_the_trainer_does(
    song_counts: list[int], ranks: int, batch_size: int
) -> None:
    verdict = feeds(set_of(target=song_counts), Topology(1, ranks, 1, batch_size))
    batches = trainer_batches(song_counts, ranks, batch_size)
    assert verdict.enough == (batches > 0)
    assert f"({batches} batches of {batch_size}, " in verdict.line
    if verdict.enough:
        return
    fewer, smaller = (
        int(match[1]) if (match := re.search(rf"at most (\d+){after}", verdict.line)) else 0
        for after in (" ranks of", "$")
    )
    assert fewer == 0 or trainer_batches(song_counts, fewer, batch_size)
    assert not trainer_batches(song_counts, fewer + 1, batch_size)
    assert smaller == 0 or trainer_batches(song_counts, ranks, smaller)
    assert not trainer_batches(song_counts, ranks, max(smaller + 1, LEAST_BATCH))


def test_excerpts_of_one_song_do_not_fill_a_batch() -> None:
    verdict = feeds(set_of(target=[4] * 200), Topology(1, 2, 4, 240))
    assert not verdict.enough
    assert verdict.line == (
        "does not feed 1 x 2 ranks x 4 workers: target 400 a rank (0 batches of 240, 800 left "
        "over); too few: 800 examples of 200 songs for a global batch of 480 with no song twice "
        "on a rank; use batches of at most 200"
    )


def test_a_pretraining_set_is_counted_whole() -> None:
    """Stage 1 takes its batches from both halves together; a half alone would not do."""
    plan, shape = set_of(source=[1] * 7, target=[1] * 6), Topology(1, 1, 1, 10)
    assert not feeds(plan, shape).enough
    verdict = feeds(plan, shape, pretraining=True)
    assert verdict.enough and "both halves 13 a rank (1 batches of 10, 3 left over)" in verdict.line
    only_source = set_of(source=[1] * 13)
    assert not feeds(only_source, shape, pretraining=True).enough, "stage 1 needs both halves"


def test_the_command_knows_the_pretraining_set_by_its_role(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = set_of(source=[1] * 7, target=[1] * 6)
    plans = {(1, "pretrain-train"): plan, (1, "train"): plan}
    monkeypatch.setattr("pipeline.cli.plan.make_plans", lambda *_: (plans, []))
    sources = ("--music", f"mtat={tmp_path}", "--noise", f"audioset={tmp_path}")
    ran = run_prep("plan", "--suite", "demo", *sources, "--batch-size", 10, "--json")
    lines = [found["feeds"] for found in ran.record["sets"]]
    assert lines[0].startswith("feeds 1 x 1 ranks x 2 workers: both halves 13 a rank")
    assert lines[1].startswith("does not feed 1 x 1 ranks") and ran.status == 1


def test_what_the_document_says_of_the_pretraining_set() -> None:
    """docs/cluster.md: 40,980 excerpts, four of a track, 8 ranks."""
    halves = {"source": [4] * 5121 + [3], "target": [4] * 5123 + [1]}
    plan, text = set_of(**halves), DOCUMENT.read_text(encoding="utf-8")
    assert len(plan.rows) == 40_980
    assert f"\n  {feeds(plan, Topology(1, 8, 4, 48), pretraining=True).line}\n" in text
    assert f"\n  {feeds(plan, Topology(1, 8, 4, 48)).line}\n" in text
    for pretraining, batch_size in ((True, 8192), (False, 4096)):
        refused = feeds(plan, Topology(1, 8, 4, batch_size), pretraining=pretraining).line
        for advice in re.findall("use at most [^;]*", refused):
            assert f"`{advice}`" in text
    for song_counts in halves.values():
        assert trainer_batches(song_counts, 8, 2560) == 1
        assert trainer_batches(song_counts, 8, 2562) == 0
