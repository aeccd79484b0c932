"""Charts, spectrograms, players and text of the report's page."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rows import ROW, contents

from manifests.rows import SAMPLE_RATE
from pipeline.report import charts, gallery, page, spectrogram, svg


@given(st.integers(1, 20 * 6))
def test_players_fit_the_page(n_players: int) -> None:
    seconds = gallery.excerpt_s(n_players)
    assert 2.0 <= seconds <= 8.0
    used = n_players * seconds * gallery.FLAC_BYTES_PER_S
    assert used <= 1.02 * max(gallery.AUDIO_BUDGET_BYTES, 20 * 6 * 2.0 * 31_000)


def test_many_snrs_show_five_with_both_ends() -> None:
    snrs = tuple(float(s) for s in range(-10, 11))
    shown = gallery.shown_members(contents(ROW, snrs_db=snrs).index)
    assert [title for _, title in shown] == ["clean", "10 dB", "5 dB", "0 dB", "-5 dB", "-10 dB"]
    assert gallery.shown_members(contents(ROW, snrs_db=()).index) == [("audio", "recording")]


def test_spectrogram_shows_a_tone_where_it_is() -> None:
    t = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    power_db = spectrogram.spectrogram_db(0.5 * np.sin(2 * np.pi * 4_000 * t))
    assert power_db.shape[0] == 257 and 300 <= power_db.shape[1] <= 361
    row = int(np.argmax(power_db.mean(axis=1)))
    assert row * SAMPLE_RATE / 512 == pytest.approx(4_000, abs=SAMPLE_RATE / 512)
    data = base64.b64decode(spectrogram.picture(power_db, float(power_db.max())))
    pixels = matplotlib.image.imread(io.BytesIO(data))
    assert pixels.shape[:2] == power_db.shape
    brightness = pixels[:, :, :3].sum(axis=2).mean(axis=1)
    assert 256 - int(np.argmax(brightness)) == row, "low frequencies belong at the bottom"


def test_spectrogram_of_next_to_nothing() -> None:
    assert spectrogram.spectrogram_db(np.zeros(3)).shape == (257, 1)


def test_svg_takes_colours_and_font_from_the_page() -> None:
    with svg.chart_style():
        figure, axes = svg.new_chart()
        axes.plot([0, 1], [0, 1], color=svg.CLEAN)
        axes.set_xlabel("a < b & c")
        text = str(svg.to_svg(figure, 'says "x" & <y>'))
    assert text.startswith('<svg viewBox="0 0 ') and text.rstrip().endswith("</svg>")
    assert "var(--clean)" in text and "var(--font)" in text and "#040404" not in text
    assert "http" not in text and "<metadata" not in text
    assert "a &lt; b &amp; c" in text and "&#34;x&#34; &amp; &lt;y&gt;" in text


def test_colours_run_along_the_ramp() -> None:
    assert [svg.snr_colour(i, 5) for i in range(5)] == list(svg.SNR_RAMP)
    assert svg.snr_colour(0, 1) == svg.SNR_RAMP[2]
    assert svg.snr_colour(0, 11) == svg.SNR_RAMP[0] and svg.snr_colour(10, 11) == svg.SNR_RAMP[-1]


def test_charts_survive_wide_and_narrow_values() -> None:
    rows = [
        replace(ROW, key=f"k-{i}", duration_s=3.0 + i, chunk_snr_db=(99.999, -99.999),
                achieved_db=(-10.0 + i, 5.0))
        for i in range(40)
    ]  # fmt: skip
    for held in (contents(*rows), contents(ROW)):
        for draw in (charts.snr_error_chart, charts.chunk_chart, charts.level_chart,
                     charts.duration_chart, charts.song_chart):  # fmt: skip
            assert str(draw(held)).count("<svg") == 1


@pytest.mark.parametrize(("auc", "percent"), [(0.3, 0), (0.5, 0), (0.75, 50), (1.0, 100)])
def test_heat(auc: float, percent: int) -> None:
    assert page.heat(auc) == percent


@pytest.mark.parametrize(
    ("hours", "text"), [(0.0125, "45 s"), (0.44, "26.4 min"), (1108.8, "1,108.80 h")]
)
def test_hours(hours: float, text: str) -> None:
    assert page.hours_text(hours) == text


def test_code_is_marked_and_the_rest_escaped() -> None:
    assert page.code("a `<b>` <c>") == "a <code>&lt;b&gt;</code> &lt;c&gt;"


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [(0.5, [0]), (2.0, [0, 1, 2]), (7.2, [0, 2, 4, 6]), (8.0, [0, 2, 4, 6, 8])],
)
def test_ticks(seconds: float, ticks: list[int]) -> None:
    assert page.tick_positions(seconds) == ticks
