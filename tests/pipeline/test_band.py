"""The band limit: one figure from the narrowest corpus."""

from __future__ import annotations

import pytest
from tiny_clips import clip

from manifests.errors import ManifestError
from pipeline.band import band_limit_hz
from pipeline.config import SetConfig

AUTO = SetConfig()


def corpus(rate: int, bandwidth_hz: float, n: int = 10) -> list:
    return [clip(f"{rate}-{i}", source_rate=rate, bandwidth_hz=bandwidth_hz) for i in range(n)]


def test_a_16_khz_corpus_sets_the_band_for_all() -> None:
    mtat, audioset = corpus(16_000, 7_900.0), corpus(44_100, 16_000.0)
    assert band_limit_hz(AUTO, [mtat, audioset]) == 7_200.0
    assert band_limit_hz(AUTO, [audioset, mtat]) == 7_200.0


def test_the_narrow_corpus_own_bandwidth_lowers_it_further() -> None:
    assert band_limit_hz(AUTO, [corpus(16_000, 6_000.0), corpus(44_100, 16_000.0)]) == 6_000.0


def test_bandwidth_of_a_corpus_of_higher_rate_does_not_count() -> None:
    assert band_limit_hz(AUTO, [corpus(16_000, 7_900.0), corpus(44_100, 3_000.0)]) == 7_200.0


def test_nothing_is_cut_where_all_reach_the_top() -> None:
    assert band_limit_hz(AUTO, [corpus(44_100, 16_000.0), corpus(48_000, 20_000.0)]) is None
    assert band_limit_hz(AUTO, [corpus(22_050, 11_000.0)]) is None


def test_one_stray_file_of_a_low_rate_does_not_set_the_band() -> None:
    music = [*corpus(44_100, 16_000.0, 99), *corpus(8_000, 3_900.0, 1)]
    assert band_limit_hz(AUTO, [music]) is None


def test_95th_percentile_of_the_bandwidth() -> None:
    clips = [clip(f"{i}", source_rate=16_000, bandwidth_hz=100.0 * i) for i in range(101)]
    assert band_limit_hz(AUTO, [[c for c in clips if c.bandwidth_hz <= 6_000.0]]) == 5_700.0


def test_hums_do_not_take_the_band_below_1_khz() -> None:
    assert band_limit_hz(AUTO, [corpus(16_000, 120.0)]) == 1_000.0


def test_off_and_a_figure_need_no_clips() -> None:
    assert band_limit_hz(SetConfig(band_limit="off"), []) is None
    assert band_limit_hz(SetConfig(band_limit="6500"), []) == 6_500.0


def test_auto_without_clips_is_an_error() -> None:
    with pytest.raises(ManifestError, match="--band-limit auto: expected scanned clips, got none"):
        band_limit_hz(AUTO, [[], []])
