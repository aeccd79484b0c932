"""Schedules: values computed by hand from the papers' formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import UsageError
from trainer.config import SnrConfig
from trainer.schedule import dann_alpha, snr_range
from trainer.snr_schedule import easy_to_hard


@pytest.mark.parametrize(
    ("progress", "alpha"),
    [(0.0, 0.0), (0.05, 0.245), (0.1, 0.462), (0.2, 0.762), (0.3, 0.905), (0.5, 0.987)],
)
def test_alpha_has_the_values_of_the_table(progress: float, alpha: float) -> None:
    assert dann_alpha(progress) == pytest.approx(alpha, abs=5e-4)


def test_alpha_takes_another_steepness() -> None:
    assert dann_alpha(1.0, gamma=1.0) == pytest.approx(0.46212, abs=1e-5)
    assert dann_alpha(0.7, gamma=0.0) == 0.0


@given(first=st.floats(0, 1), second=st.floats(0, 1))
def test_alpha_grows_within_0_and_1(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert 0 <= dann_alpha(low) <= dann_alpha(high) < 1


@pytest.mark.parametrize("progress", [-0.01, 1.01, float("nan")])
def test_alpha_outside_the_run(progress: float) -> None:
    with pytest.raises(UsageError, match="progress: expected 0 to 1, got"):
        dann_alpha(progress)


@pytest.mark.parametrize(
    ("epoch", "bounds"),
    [
        (0, (-10, -5)),
        (3, (-10, -4)),
        (30, (-10, 5)),
        (44, (-10, 29 / 3)),
        (45, (-10, 10)),
        (800, (-10, 10)),
    ],
)
def test_stage_2_rises_by_a_third_of_a_db(epoch: int, bounds: tuple[float, float]) -> None:
    found = snr_range(epoch, easy="low", step_db_per_epoch=1 / 3)
    assert found == pytest.approx(bounds)


@pytest.mark.parametrize(
    ("epoch", "bounds"),
    [
        (0, (5, 10)),
        (30, (4, 10)),
        (150, (0, 10)),
        (449, (-10 + 1 / 30, 10)),
        (450, (-10, 10)),
        (799, (-10, 10)),
    ],
)
def test_stage_3_falls_by_a_thirtieth(epoch: int, bounds: tuple[float, float]) -> None:
    found = snr_range(epoch, easy="high", step_db_per_epoch=1 / 30)
    assert found == pytest.approx(bounds)


def test_slide_leaves_the_easy_end_behind() -> None:
    low = [snr_range(e, easy="low", step_db_per_epoch=1.0, mode="slide") for e in (0, 6, 15, 99)]
    assert low == [(-10, -5), (-4, 1), (5, 10), (5, 10)]
    high = [snr_range(e, easy="high", step_db_per_epoch=1.0, mode="slide") for e in (0, 6, 15, 99)]
    assert high == [(5, 10), (-1, 4), (-10, -5), (-10, -5)]


@given(
    epoch=st.integers(0, 1000),
    step=st.floats(0, 3),
    width=st.floats(0, 20),
    easy=st.sampled_from(["low", "high"]),
    mode=st.sampled_from(["expand", "slide"]),
)
def test_ranges_stay_within_the_whole_and_never_shrink(
    epoch: int, step: float, width: float, easy: str, mode: str
) -> None:
    options = {"easy": easy, "mode": mode, "start_width": width, "step_db_per_epoch": step}
    low, high = snr_range(epoch, **options)  # type: ignore[arg-type]
    assert -10 - 1e-9 <= low <= high <= 10 + 1e-9
    assert high - low >= width - 1e-9
    after_low, after_high = snr_range(epoch + 1, **options)  # type: ignore[arg-type]
    if mode == "expand":
        assert after_low <= low and after_high >= high


def test_bad_schedules() -> None:
    for epoch, step in ((-1, 0.1), (0, -0.1)):
        with pytest.raises(UsageError, match="expected epoch and step of at least 0"):
            snr_range(epoch, easy="low", step_db_per_epoch=step)
    with pytest.raises(UsageError, match=r"expected a first width within 0 and 20.* dB, got 21"):
        snr_range(0, easy="low", step_db_per_epoch=0.1, start_width=21)


def test_one_step_gives_both_schedules_of_the_thesis() -> None:
    """1/30 dB an epoch for the tagger (full after 450), 1/3 for the classifier (full after 45)."""
    config, steps = SnrConfig(e2h_db_per_epoch=1 / 30), 7
    for easy, first, full in (("low", (-10, -5), 45), ("high", (5, 10), 450)):
        at = easy_to_hard(config, steps, easy=easy)  # type: ignore[arg-type]
        assert (at(0).low_db, at(steps - 1).high_db) == first
        for step, whole in ((full * steps - 1, False), (full * steps, True), (10**6, True)):
            width = at(step).high_db - at(step).low_db
            assert (width == pytest.approx(20.0)) is whole, (easy, step)


@pytest.mark.parametrize(("own", "after_9"), [(None, (-10, 4)), (2.0, (-10, 10)), (0.0, (-10, 10))])
def test_the_classifier_may_have_a_step_of_its_own(
    own: float | None, after_9: tuple[float, float]
) -> None:
    config = SnrConfig(e2h_db_per_epoch=0.1, e2h_domain_db_per_epoch=own)
    found = easy_to_hard(config, 1, easy="low")(9)
    assert (found.low_db, found.high_db) == pytest.approx(after_9)
    tagger = easy_to_hard(config, 1, easy="high")(9)
    assert (tagger.low_db, tagger.high_db) == pytest.approx((4.1, 10))
