"""Excerpts and noise spans: where they begin, how long they are, which clips serve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_clips import clip, levels, noises

from manifests.rows import Clip
from pipeline.activity import FRAME_SAMPLES
from pipeline.choose import NoisePool, draw_excerpts
from pipeline.config import SetConfig

CONFIG = SetConfig(music=("folder",), noise=("folder",))


def starts_s(music: Clip, config: SetConfig) -> list[float]:
    return [excerpt.span.start_s for excerpt in draw_excerpts(music, config)]


def test_a_clip_up_to_60_s_is_whole_and_a_longer_one_gives_30_s() -> None:
    for seconds, expected_s in (
        (3.0, 3.0),
        (59.9, 59.9),
        (60.0, 60.0),
        (60.1, 30.0),
        (200.0, 30.0),
    ):
        (excerpt,) = draw_excerpts(clip(seconds=seconds), CONFIG)
        assert excerpt.span.duration_s == pytest.approx(expected_s)
        assert excerpt.span.start_s == 0.0 or seconds > 60.0


@pytest.mark.parametrize(
    ("excerpt_s", "expected_s"), [("whole", 200.0), ("10", 10.0), ("300", 200.0)]
)
def test_length_as_asked_but_never_more_than_the_clip(excerpt_s: str, expected_s: float) -> None:
    (excerpt,) = draw_excerpts(clip(seconds=200.0), replace(CONFIG, excerpt_s=excerpt_s))
    assert excerpt.span.duration_s == pytest.approx(expected_s)


def test_starts_lie_on_the_tenth_of_a_second_grid() -> None:
    config = replace(CONFIG, excerpt_s="5", excerpts_per_track=4)
    for number in range(40):
        for start_s in starts_s(clip(f"clip{number}", 90.0), config):
            assert start_s == round(start_s, 1)
            assert round(start_s * 22_050) == round(start_s * 10) * FRAME_SAMPLES


def test_four_excerpts_one_from_each_quarter() -> None:
    config = replace(CONFIG, excerpt_s="20", excerpts_per_track=4)
    seen: set[tuple[float, ...]] = set()
    for number in range(50):
        found = starts_s(clip(f"clip{number}", 180.0), config)
        quarter_s = 160.1 / 4
        assert [int(s // quarter_s) for s in found] == [0, 1, 2, 3]
        seen.add(tuple(found))
    assert len(seen) == 50


def test_keys_of_excerpts_differ_by_their_number_alone() -> None:
    config = replace(CONFIG, excerpt_s="5", excerpts_per_track=3)
    keys = [excerpt.key for excerpt in draw_excerpts(clip("Some Clip", 60.0), config)]
    assert len(set(keys)) == 3
    assert {key[:-2] for key in keys} == {keys[0][:-2]}
    assert [key[-1] for key in keys] == ["0", "1", "2"] and keys[0].startswith("folder-some_clip-")


def test_a_whole_clip_gives_one_excerpt_however_many_are_asked() -> None:
    config = replace(CONFIG, excerpt_s="whole", excerpts_per_track=4)
    assert starts_s(clip(seconds=20.0), config) == [0.0]


def test_only_active_spans_are_drawn() -> None:
    """Sound from 40 s to 60 s only: a 10 s span must have half of itself in it."""
    music = clip(seconds=100.0, rms_db=levels((400, -128), (200, -20), (400, -90)))
    for seed in range(60):
        (start_s,) = starts_s(music, replace(CONFIG, excerpt_s="10", seed=seed))
        assert 35.0 <= start_s <= 55.0


def test_a_quarter_without_sound_takes_its_start_from_the_others() -> None:
    music = clip(seconds=100.0, rms_db=levels((500, -20), (500, -128)))
    config = replace(CONFIG, excerpt_s="10", excerpts_per_track=4)
    for number in range(20):
        found = starts_s(replace(music, clip_id=f"c{number}"), config)
        assert len(found) == 4 and max(found) <= 45.0
        assert found[0] < 22.5 <= found[1]


@pytest.mark.parametrize(("loud_s", "n_starts"), [(15.0, 1), (15.2, 3), (20.0, 51)])
def test_no_start_serves_twice(loud_s: float, n_starts: int) -> None:
    """Sound at the end of 65 s: a 30 s span needs 15 s of it, so few starts serve at all."""
    loud = round(10 * loud_s)
    music = clip(seconds=65.0, rms_db=levels((650 - loud, -128), (loud, -20)))
    for number in range(30):
        found = starts_s(
            replace(music, clip_id=f"c{number}"), replace(CONFIG, excerpts_per_track=4)
        )
        assert len(set(found)) == len(found) == min(4, n_starts)


def test_a_clip_without_an_active_span_gives_nothing() -> None:
    assert starts_s(clip(seconds=10.0, rms_db=levels((40, -20), (60, -128))), CONFIG) == []
    assert starts_s(clip(seconds=10.0, level_db=-61), CONFIG) == []


def test_draws_depend_on_seed_and_clip_alone() -> None:
    config = replace(CONFIG, excerpt_s="5")
    every = [clip(f"c{number}", 100.0) for number in range(30)]
    once = {c.clip_id: starts_s(c, config) for c in every}
    assert once == {c.clip_id: starts_s(c, config) for c in reversed(every)}
    assert once != {c.clip_id: starts_s(c, replace(config, seed=1)) for c in every}


def test_a_short_noise_is_looped_and_a_long_one_cropped() -> None:
    pool = NoisePool([clip("long", 20.0), clip("short", 1.0), clip("same", 10.0)],
                     replace(CONFIG, noises=4))  # fmt: skip
    drawn = {span.clip_id: span for span, _ in pool.draw("key", 10 * 22_050)}
    assert drawn.keys() == {"long", "short", "same"}
    assert (drawn["short"].looped, drawn["short"].start_s) == (True, 0.0)
    assert (drawn["same"].looped, drawn["same"].start_s) == (False, 0.0)
    assert not drawn["long"].looped and 0.0 <= drawn["long"].start_s <= 10.0


def test_noise_spans_are_active_and_inside_the_clip() -> None:
    """Sound in the last 2 s of 60 s: a 10 s span needs a tenth of itself active."""
    noise = clip("n", 60.0, rms_db=levels((580, -128), (20, -20)))
    pool = NoisePool([noise], CONFIG)
    for number in range(60):
        ((span, found),) = pool.draw(f"key{number}", 10 * 22_050)
        assert found is noise and 49.0 <= span.start_s <= 50.0


def test_an_inactive_noise_is_passed_over_for_the_next() -> None:
    """One active frame in 10 s is under a tenth: never drawn, and nothing else moves."""
    click = clip("click", 10.0, rms_db=levels((50, -128), (1, -20), (49, -128)))
    others = noises(5)
    config = replace(CONFIG, noises=2)
    for number in range(40):
        with_click = NoisePool([click, *others], config).draw(f"key{number}", 22_050 * 10)
        without = NoisePool(others, config).draw(f"key{number}", 22_050 * 10)
        assert with_click == without and len(without) == 2


def test_noises_shorter_than_the_least_length_do_not_serve() -> None:
    pool = NoisePool([clip("blip", 0.09), clip("ok", 0.1)], replace(CONFIG, noises=2))
    assert [span.clip_id for span, _ in pool.draw("key", 22_050)] == ["ok"]


def test_the_start_of_a_noise_does_not_depend_on_the_number_of_noises() -> None:
    every = noises(8)
    for number in range(20):
        spans = [
            [s for s, _ in NoisePool(every, replace(CONFIG, noises=k)).draw(f"k{number}", 66_150)]
            for k in (1, 2, 4)
        ]
        assert spans[0] == spans[1][:1] and spans[1] == spans[2][:2]


def test_starts_spread_over_the_whole_noise() -> None:
    pool = NoisePool([clip("n", 60.0)], CONFIG)
    starts = [pool.draw(f"key{i}", 10 * 22_050)[0][0].start_s for i in range(2000)]
    counts, _ = np.histogram(starts, bins=5, range=(0.0, 50.0))
    assert counts.min() > 320 and counts.max() < 480
