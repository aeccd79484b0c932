"""Order, ranges, and batches without two excerpts of one song."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_refs import fake_refs
from tiny_sets import write_set

from manifests.batches import full_batches
from manifests.errors import UsageError
from trainer.data.index import load_refs
from trainer.data.order import by_shard, epoch_order, rank_orders, rank_ranges, shuffle_in_windows
from trainer.data.plan import BatchPlan
from trainer.data.songs import song_batches


@given(n_examples=st.integers(0, 5_000), world_size=st.integers(1, 64))
def test_ranges_are_equal_and_lose_less_than_one_per_rank(n_examples: int, world_size: int) -> None:
    ranges, left_over = rank_ranges(n_examples, world_size)
    assert len({len(span) for span in ranges}) == 1
    assert 0 <= left_over <= world_size - 1
    covered = [position for span in ranges for position in span]
    assert covered == list(range(n_examples - left_over))


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    world_size=st.integers(1, 5),
    window=st.integers(1, 40),
    seed=st.integers(0, 3),
    pass_number=st.integers(0, 3),
)
def test_a_pass_holds_every_example_once(
    sizes: list[int], world_size: int, window: int, seed: int, pass_number: int
) -> None:
    ends = np.cumsum(sizes)
    shards = [list(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]
    orders = rank_orders(shards, world_size, window, seed, pass_number)
    drawn = [example for order in orders for example in order]
    assert len(set(drawn)) == len(drawn)
    assert sum(sizes) - len(drawn) == sum(sizes) % world_size
    assert orders == rank_orders(shards, world_size, window, seed, pass_number)
    if world_size == 1:
        assert sorted(drawn) == list(range(sum(sizes)))


def test_passes_and_seeds_differ_and_no_rank_keeps_its_shards() -> None:
    shards = [list(range(n * 10, n * 10 + 10)) for n in range(30)]
    orders = [epoch_order(shards, 0, number) for number in range(4)]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch_order(shards, 1, 0) != orders[0]
    first_ranks = [set(rank_orders(shards, 3, 50, 0, number)[0]) for number in range(2)]
    assert len(first_ranks[0] & first_ranks[1]) < 80


def test_a_window_stays_in_its_place(rng: np.random.Generator) -> None:
    order = shuffle_in_windows(range(100), 10, rng)
    for start in range(0, 100, 10):
        assert sorted(order[start : start + 10]) == list(range(start, start + 10))
    assert order != list(range(100))


def test_a_range_may_begin_inside_a_shard() -> None:
    orders = rank_orders([list(range(10))], 2, 100, 0, 0)
    assert sorted(orders[0]) == [0, 1, 2, 3, 4]


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    batch_size=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_as_many_batches_of_different_songs_as_can_exist(
    counts: list[int], batch_size: int, seed: int
) -> None:
    songs = [f"s{number}" for number, count in enumerate(counts) for _ in range(count)]
    order = np.random.default_rng(seed).permutation(len(songs)).tolist()
    n_batches = full_batches(counts, batch_size)
    # Independent of the code: Gale-Ryser's condition for k batches of B different songs.
    possible = [
        k for k in range(len(songs) + 1) if sum(min(count, k) for count in counts) >= k * batch_size
    ]
    assert n_batches == max(possible)
    (batches,) = song_batches([order], songs, batch_size, n_batches)
    assert len(batches) == n_batches
    for batch in batches:
        assert len({songs[example] for example in batch}) == len(batch) == batch_size
    drawn = [example for batch in batches for example in batch]
    assert len(set(drawn)) == len(drawn)


@settings(deadline=None)
@given(
    song_of=st.lists(st.integers(0, 9), min_size=4, max_size=80),
    batch_size=st.integers(1, 4),
    world_size=st.integers(1, 3),
    step=st.integers(0, 50),
)
def test_every_rank_has_the_same_number_of_full_batches(
    song_of: list[int], batch_size: int, world_size: int, step: int
) -> None:
    refs = fake_refs(song_of)
    try:
        plans = [
            BatchPlan("set", refs, batch_size=batch_size, seed=5, rank=rank, world_size=world_size)
            for rank in range(world_size)
        ]
    except UsageError:
        held = sum(min(count, world_size) for count in Counter(song_of).values())
        assert held < world_size * batch_size, "refused only where no batches exist"
        return
    assert len({plan.steps_per_pass for plan in plans}) == 1
    assert plans[0].left_over.by_ranks == len(refs) % world_size
    batches = [plan.batch(step)[1] for plan in plans]
    drawn = [example for batch in batches for example in batch]
    assert len(set(drawn)) == len(drawn) == batch_size * world_size
    for batch in batches:
        assert len({song_of[example] for example in batch}) == batch_size


def test_ranks_hear_different_songs_in_one_step_where_they_can() -> None:
    refs = fake_refs([number % 60 for number in range(240)], per_shard=10)
    plans = [
        BatchPlan("set", refs, batch_size=8, seed=1, rank=rank, world_size=2) for rank in (0, 1)
    ]
    repeats = 0
    for step in range(plans[0].steps_per_pass - 3):
        songs = [refs[example].song for plan in plans for example in plan.batch(step)[1]]
        repeats += 16 - len(set(songs))
    assert repeats == 0


def test_a_pass_uses_every_example_once_over_the_ranks() -> None:
    refs = fake_refs(list(range(96)))
    plans = [
        BatchPlan("set", refs, batch_size=8, seed=1, rank=rank, world_size=3) for rank in range(3)
    ]
    for number in range(2):
        steps = range(number * 4, number * 4 + 4)
        drawn = Counter(e for plan in plans for step in steps for e in plan.batch(step)[1])
        assert drawn == Counter(range(96))
    assert plans[0].batch(0)[1] != plans[0].batch(4)[1]
    assert plans[0].batch(5)[0] == 1


def test_left_over_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="trainer.data.plan"):
        plan = BatchPlan("train/source", fake_refs(list(range(101))), batch_size=8, seed=0,
                         rank=1, world_size=3)  # fmt: skip
    assert (plan.steps_per_pass, plan.left_over.by_ranks, plan.left_over.by_batches) == (4, 2, 3)
    assert "train/source: 101 examples, 4 steps a pass of 8 × 3" in caplog.text
    assert "2 by the ranks, 3 in batches that would not be full" in caplog.text


def test_too_few_examples_are_refused_with_numbers_that_work(tmp_path: Path) -> None:
    refs = load_refs(write_set(str(tmp_path)), domain="source")
    with pytest.raises(UsageError, match=r"expected at least 15 examples .* got 12 examples") as e:
        BatchPlan("train/source", refs, batch_size=5, seed=0, world_size=3)
    assert "of 6 songs; a batch size of 2 to 4 on each of 3 processes or " in str(e.value)
    assert "or batch size 5 on each of 2 processes or fewer would work" in str(e.value)
    for size, ranks in ((2, 3), (4, 3), (5, 2)):
        plan = BatchPlan("x", refs, batch_size=size, seed=0, world_size=ranks)
        assert plan.steps_per_pass >= 1


def test_a_batch_of_one_is_not_recommended() -> None:
    """Whether a network trains on one is not known here; BatchNorm does not."""
    refs = fake_refs([0, 0, 1, 1, 2, 2])
    assert BatchPlan("x", refs, batch_size=1, seed=0, world_size=3).steps_per_pass == 2
    with pytest.raises(UsageError, match="of 3 songs; batch size 2 on each of 3 processes or few"):
        BatchPlan("x", refs, batch_size=2, seed=0, world_size=4)


def test_too_few_songs_are_refused() -> None:
    with pytest.raises(UsageError, match="20 examples of 2 songs; a batch size of 2 would work"):
        BatchPlan("x", fake_refs([0, 1] * 10), batch_size=4, seed=0)
    words = r"on each of 2 processes, got 6 .* of 2 to 3 on each of 2 processes or batch size 4 in"
    with pytest.raises(UsageError, match=f"{words} one process would work"):
        BatchPlan("x", fake_refs(range(6)), batch_size=4, seed=0, world_size=2)


@pytest.mark.parametrize("numbers", [(0, 0, 1, 9), (4, 2, 2, 9), (4, 0, 1, 0)])
def test_impossible_numbers_are_refused(numbers: tuple[int, int, int, int]) -> None:
    batch_size, rank, world_size, window = numbers
    with pytest.raises(UsageError, match="expected a batch size, a window and batches a step of"):
        BatchPlan(
            "x", fake_refs([0] * 9), batch_size=batch_size, seed=0, rank=rank,
            world_size=world_size, window=window,
        )  # fmt: skip


@settings(deadline=None)
@given(
    song_of=st.lists(st.integers(0, 19), min_size=8, max_size=120),
    batch_size=st.integers(1, 4),
    accumulate=st.integers(1, 4),
    world_size=st.integers(1, 3),
    step=st.integers(0, 50),
)
def test_the_batches_of_a_step_are_one_large_batch_cut_in_order(
    song_of: list[int], batch_size: int, accumulate: int, world_size: int, step: int
) -> None:
    refs = fake_refs(song_of)
    shared: dict[str, Any] = {"seed": 5, "rank": world_size - 1, "world_size": world_size}
    try:
        large = BatchPlan("set", refs, batch_size=batch_size * accumulate, **shared)
    except UsageError:
        with pytest.raises(UsageError):
            BatchPlan("set", refs, batch_size=batch_size, accumulate=accumulate, **shared)
        return
    plan = BatchPlan("set", refs, batch_size=batch_size, accumulate=accumulate, **shared)
    assert (plan.steps_per_pass, plan.left_over) == (large.steps_per_pass, large.left_over)
    parts = [plan.batch(step * accumulate + part) for part in range(accumulate)]
    assert {len(examples) for _, examples in parts} == {batch_size}
    pass_number, examples = large.batch(step)
    assert {number for number, _ in parts} == {pass_number}
    assert [example for _, part in parts for example in part] == examples


def test_steps_of_several_batches_that_cannot_be_filled(caplog: pytest.LogCaptureFixture) -> None:
    refs = fake_refs(list(range(50)))
    with pytest.raises(UsageError, match="at least 72 examples for one step of 3 × 12 diff") as e:
        BatchPlan("x", refs, batch_size=12, accumulate=3, seed=0, world_size=2)
    assert (
        "on each of 2 processes, got 50 examples of 50 songs; a batch size of 2 to 8 on each of "
        "2 processes or --accumulate 2 or less or batch size 12 in one process would work"
        in str(e.value)
    )
    with caplog.at_level("INFO", logger="trainer.data.plan"):
        for batch_size, parts, ranks in ((8, 3, 2), (12, 2, 2), (12, 3, 1)):
            shape = {"batch_size": batch_size, "accumulate": parts, "world_size": ranks}
            assert BatchPlan("x", refs, seed=0, **shape).steps_per_pass == 1
    assert (
        "x: 50 examples, 1 steps a pass of 8 × 2 × 3; left over each pass: 0 by the" in caplog.text
    )
    assert "2 in steps that would not be full" in caplog.text


def test_examples_are_grouped_by_shard() -> None:
    assert by_shard(fake_refs([0] * 5, per_shard=2)) == [[0, 1], [2, 3], [4]]
