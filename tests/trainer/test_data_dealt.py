"""Many ranks, large batches: batches of different songs come out wherever they exist."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_refs import fake_refs

from manifests.batches import fills, full_batches, largest_batch, most_ranks
from trainer.data.order import dealt_orders, rank_orders
from trainer.data.plan import BatchPlan

SONGS = [
    song
    for song, count in enumerate(np.random.default_rng(0).poisson(4.8, 1_938))
    for _ in range(count)
]
"""A half like MagnaTagATune's: excerpts of each song beside each other before the shuffle."""


@pytest.mark.parametrize(
    ("world_size", "batch_size", "accumulate"), [(24, 48, 1), (32, 48, 1), (8, 144, 1), (8, 48, 3)]
)
def test_a_half_of_full_size_feeds_many_ranks(
    world_size: int, batch_size: int, accumulate: int
) -> None:
    songs = np.random.default_rng(1).permutation(SONGS).tolist()
    plans = [
        BatchPlan(
            "x",
            fake_refs(songs, per_shard=256),
            batch_size=batch_size,
            accumulate=accumulate,
            seed=3,
            rank=rank,
            world_size=world_size,
        )
        for rank in (0, world_size - 1)
    ]
    step = world_size * batch_size * accumulate
    assert {plan.steps_per_pass for plan in plans} == {len(songs) // step}
    for plan in plans:
        drawn = [plan.batch(n)[1] for n in range(plan.steps_per_pass * accumulate)]
        assert all(len({songs[e] for e in batch}) == batch_size for batch in drawn)
    left = plans[0].left_over
    assert left.by_ranks + left.by_batches == len(songs) % step


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=14),
    batch_size=st.integers(1, 5),
    world_size=st.integers(1, 5),
    pass_number=st.integers(0, 9),
)
def test_every_rank_has_what_can_exist_and_no_example_comes_twice(
    counts: list[int], batch_size: int, world_size: int, pass_number: int
) -> None:
    songs = [number for number, count in enumerate(counts) for _ in range(count)]
    # Independent of the code: Gale-Ryser's condition for k·R batches of B different songs.
    possible = [
        k
        for k in range(len(songs) + 1)
        if sum(min(count, k * world_size) for count in counts) >= k * world_size * batch_size
    ]
    n_batches = full_batches(counts, batch_size, world_size)
    assert n_batches == max(possible)
    assert (most_ranks(counts, batch_size) >= world_size) == (n_batches > 0)
    assert (largest_batch(counts, world_size) >= batch_size) == (n_batches > 0)
    if not n_batches:
        return
    plans = [
        BatchPlan(
            "x", fake_refs(songs), batch_size=batch_size, seed=5, rank=rank, world_size=world_size
        )
        for rank in range(world_size)
    ]
    first = pass_number * n_batches
    drawn = [plan.batch(first + n)[1] for plan in plans for n in range(n_batches)]
    assert all(len({songs[e] for e in batch}) == len(batch) == batch_size for batch in drawn)
    assert max(Counter(e for batch in drawn for e in batch).values()) == 1


def test_songs_are_dealt_in_those_passes_alone_whose_ranges_fall_short() -> None:
    shards, songs = [[0, 1, 2], [3, 4, 5]], ["a", "a", "b", "c", "d", "d"]
    orders = rank_orders(shards, 2, 9, 0, 0)
    assert not all(_fills(order, songs) for order in orders)
    dealt = dealt_orders(shards, 2, 9, 0, 0, songs=songs, n_batches=1)
    assert all(_fills(order, songs) for order in dealt)
    assert sorted(dealt[0] + dealt[1]) == list(range(6))
    refs = fake_refs([0, 1, 2, 3, 4, 5], per_shard=3)
    plan = BatchPlan("x", refs, batch_size=3, seed=0, world_size=2)
    assert sorted(plan.batch(0)[1]) == sorted(rank_orders(shards, 2, 9, 0, 0)[0])


def _fills(order: list[int], songs: list[str]) -> bool:
    return fills(Counter(songs[example] for example in order).values(), 3, 1)
