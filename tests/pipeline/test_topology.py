"""Whether a set feeds a training job."""

from __future__ import annotations

from tiny_clips import NO_TAGS, clip, noises, scan_of

from pipeline.config import SetConfig
from pipeline.planned import Plan
from pipeline.stages.plan import plan_set
from pipeline.topology import Topology, feeds


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
        f"of 5, {source % 4} left over); target {target // 4} a rank ({target // 4 // 5} batches "
        f"of 5, {target % 4} left over)"
    )


def test_too_few_says_what_would_do() -> None:
    plan = plan_of(60)
    smallest = min(counts(plan))
    verdict = feeds(plan, Topology(1, 4, 2, 16))
    assert not verdict.enough and verdict.line.startswith("does not feed 1 x 4 ranks x 2 workers")
    assert f"too few: {smallest} for a global batch of 64" in verdict.line
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
    assert "too few: 0 for a global batch of 2" in verdict.line
    assert "at most 0" not in verdict.line


def test_evaluation_sets_serve_any_number_of_ranks() -> None:
    verdict = feeds(plan_of(3, split="test", noise_split="test"), Topology(8, 8, 8, 512))
    assert verdict.enough and verdict.line == "evaluation set: any number of ranks"


def test_a_set_of_targets_alone_needs_no_source() -> None:
    verdict = feeds(plan_of(20, halves="target"), Topology(1, 2, 1, 10))
    assert verdict.enough and "source" not in verdict.line
