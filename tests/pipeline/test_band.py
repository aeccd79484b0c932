"""The band limit: one figure from the narrowest corpus."""

from __future__ import annotations

import pytest
from tiny_clips import clip, scan_of

from manifests.errors import ManifestError
from pipeline.band import band_limit_hz, band_note
from pipeline.config import SetConfig
from pipeline.stages.prepare import band_notes

AUTO = SetConfig()


def corpus(rate: int, bandwidth_hz: float, n: int = 10) -> list:
    return [clip(f"{rate}-{i}", source_rate=rate, bandwidth_hz=bandwidth_hz) for i in range(n)]


def test_a_16_khz_corpus_sets_the_band_for_all() -> None:
    mtat, audioset = corpus(16_000, 7_900.0), corpus(44_100, 16_000.0)
    assert band_limit_hz(AUTO, [mtat, audioset]) == 7_200.0
    assert band_limit_hz(AUTO, [audioset, mtat]) == 7_200.0


def test_the_narrow_corpus_own_bandwidth_lowers_it_further() -> None:
    assert band_limit_hz(AUTO, [corpus(16_000, 6_000.0), corpus(44_100, 16_000.0)]) == 6_000.0


def test_what_a_corpus_holds_counts_whatever_its_rate() -> None:
    """Above 4 kHz this mix would be noise only."""
    old_records, noise = corpus(44_100, 4_000.0), corpus(22_050, 11_000.0)
    assert band_limit_hz(AUTO, [old_records, noise]) == 4_000.0
    assert band_limit_hz(AUTO, [corpus(16_000, 7_900.0), corpus(44_100, 3_000.0)]) == 3_000.0


def test_the_real_corpora_keep_their_figures() -> None:
    mtat, jamendo = corpus(16_000, 7_312.5), corpus(44_100, 15_310.1)
    audioset, musan = corpus(48_000, 20_000.0), corpus(16_000, 8_000.0)
    for every, band_hz in (([mtat, audioset], 7_200.0), ([mtat, musan], 7_200.0),
                           ([jamendo, audioset], None), ([jamendo, musan], 7_200.0)):  # fmt: skip
        assert band_limit_hz(AUTO, every) == band_hz


def test_a_note_names_the_corpus_that_sets_the_band() -> None:
    wide = corpus(44_100, 20_000.0)
    assert band_note(AUTO, 7_200.0, [wide, corpus(16_000, 7_900.0)]) == (
        "band: up to 7,200 Hz, from folder: its sample rate is 16,000 Hz"
    )
    assert band_note(AUTO, 6_000.0, [wide, corpus(16_000, 6_000.0)]) == (
        "band: up to 6,000 Hz, from folder: 95 % of its clips hold nothing above 6,000 Hz"
    )
    assert band_note(AUTO, None, [wide]) == ""
    assert band_note(SetConfig(band_limit="3000"), 3_000.0, [wide]) == ""


def test_the_note_of_a_low_band_says_what_to_do() -> None:
    said = "band: up to 1,000 Hz, from folder: 95 % of its clips hold nothing above 300 Hz; music "
    assert band_note(AUTO, 1_000.0, [corpus(44_100, 300.0)]).startswith(said)
    config = SetConfig(music=("folder",))
    wide, hums = (scan_of(corpus(44_100, hz)) for hz in (9_000.0, 300.0))
    (mild,) = band_notes(config, 9_000.0, [wide])
    (low,) = band_notes(config, 1_000.0, [wide, hums])
    assert "lose what is above" not in mild and low.startswith(said)
    assert "lose what is above: --band-limit off or HZ keeps more" in low
    assert band_notes(config, None, [wide]) == []


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
