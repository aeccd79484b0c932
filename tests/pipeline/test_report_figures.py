"""The report's figures and checks on rows whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rows import ROW, contents, reject

from manifests.rows import Reject
from pipeline.finish import ExampleRow
from pipeline.report import sample
from pipeline.report.checks import run_checks
from pipeline.report.counts import count_tags, durations, noise_use
from pipeline.report.levels import expected_louder_db, levels
from pipeline.report.rejected import group_rejects
from pipeline.report.snr import chunk_spread, snr_errors
from pipeline.report.spread import spread


def test_snr_errors_find_member_and_example() -> None:
    bad = replace(ROW, key="k-1", achieved_db=(-10.0, 4.94))
    errors = snr_errors(contents(ROW, bad))
    assert errors is not None
    assert (errors.n, errors.n_within, errors.largest_key) == (4, 3, "k-1")
    assert errors.largest_db == pytest.approx(-0.06)
    assert errors.by_snr["5"].p5 == pytest.approx(-0.057) and errors.by_snr["-10"].p5 == 0.0


def test_a_miss_of_exactly_the_tolerance_is_within() -> None:
    errors = snr_errors(contents(replace(ROW, achieved_db=(-10.05, 5.05))))
    assert errors is not None and errors.n_within == 2


def test_chunk_spread() -> None:
    found = chunk_spread(contents(ROW, replace(ROW, key="k-1", chunk_snr_db=())))
    assert found is not None and found.spread_db.n == 3
    assert (found.share_far_off, found.largest_db) == (0.3333, 7.0)
    assert chunk_spread(contents(replace(ROW, chunk_snr_db=()))) is None


@pytest.mark.parametrize(("snr_db", "louder_db"), [(10, 0.414), (0, 3.0103), (-10, 10.414)])
def test_mixes_are_louder_by_arithmetic(snr_db: float, louder_db: float) -> None:
    assert expected_louder_db(snr_db) == pytest.approx(louder_db, abs=1e-3)


def test_levels_go_by_member_name_not_by_place() -> None:
    """Members lie in another order than the index lists its SNRs."""
    found = levels(contents(ROW))
    assert [(s.snr, s.louder_db.median) for s in found.steps] == [("5", 1.2), ("-10", 10.4)]


def test_tags_by_half_and_split() -> None:
    tags = count_tags(contents(ROW, replace(ROW, key="k-1", domain="target", tags=())))
    a, b = tags.kept
    assert (a.name, a.examples, a.source, a.target) == ("a", 1, 1, 0)
    assert a.clips == {"train": 9, "test": 2} and b.examples == 0
    assert [(t.name, t.reason) for t in tags.lost] == [("c", "rare")]
    assert tags.untagged_examples == 1


def test_durations_and_noise_use() -> None:
    other = replace(ROW, key="k-1", duration_s=20.0, noise_looped=(True,), noise_labels=("",))
    found = durations(contents(ROW, other))
    assert (found.shortest_s, found.longest_s) == (10.0, 20.0)
    assert (found.n_songs, found.most_per_song) == (1, 2)
    use = noise_use(contents(ROW, other))
    assert use is not None and (use.n_files, use.most_uses, use.n_looped, use.n_uses) == (
        1,
        2,
        1,
        2,
    )
    assert use.labels == {"no label": 1, "x": 1, "y": 1}


def test_rejects_group_by_reason_with_three_examples() -> None:
    rejects = (*(reject(f"{i}.mp3") for i in range(5)), reject("n.wav", "musan", "empty"))
    found = group_rejects(contents(ROW, rejects=rejects))
    assert [(g.corpus, g.reason, g.count) for g in found.groups] == [
        ("folder", "silent", 5),
        ("musan", "empty", 1),
    ]
    assert len(found.groups[0].examples) == 3
    assert found.groups[0].examples[0].detail == "expected sound, got none"
    assert found.music_share == pytest.approx(5 / 6, abs=1e-4)
    limited = contents(ROW, rejects=rejects, config={"limit": 1})
    assert group_rejects(limited).music_share is None


def states(*rows: ExampleRow, rejects: tuple[Reject, ...] = ()) -> dict[str, str]:
    held = contents(*rows, rejects=rejects)
    checks = run_checks(held, snr_errors(held), group_rejects(held))
    return {check.title: check.state for check in checks}


def test_checks_of_a_good_set() -> None:
    found = states(ROW, replace(ROW, key="k-1", song="s1", domain="target"))
    assert found == {
        "SNR within 0.05 dB": "good",
        "largest miss": "good",
        "clipped members": "good",
        "songs in both halves": "good",
        "rejects": "good",
        "without a known licence": "good",
    }


@pytest.mark.parametrize(
    ("changes", "title", "state"),
    [
        ({"achieved_db": (-10.0, 5.06)}, "SNR within 0.05 dB", "bad"),
        ({"achieved_db": (-10.0, 5.06)}, "largest miss", "bad"),
        ({"peaks": (0.5, 1.0, 0.5)}, "clipped members", "bad"),
        ({"peaks": (0.5, 0.999969, 0.5)}, "clipped members", "good"),
        ({"song": "s0", "domain": "target"}, "songs in both halves", "bad"),
        ({"licence": ""}, "without a known licence", "watch"),
        ({"noise_licences": ("",)}, "without a known licence", "watch"),
    ],
)
def test_checks_that_fail(changes: dict[str, object], title: str, state: str) -> None:
    other = replace(ROW, **{"key": "k-1", "song": "s1", **changes})  # type: ignore[arg-type]
    assert states(ROW, other)[title] == state


def test_many_rejects_are_to_be_watched() -> None:
    assert states(ROW, rejects=(reject("a.mp3"),))["rejects"] == "watch"
    assert states(ROW, rejects=(reject("a.wav", "musan"),))["rejects"] == "good"


ROWS = [replace(ROW, key=f"k-{i}", song=f"s{i % 4}", offset=512 * i) for i in range(12)]


@given(st.integers(0, 12), st.integers(0, 12), st.permutations(ROWS))
def test_smaller_samples_are_part_of_larger_ones(
    few: int, many: int, shuffled: list[ExampleRow]
) -> None:
    few, many = sorted((few, many))
    small, large = sample.draw(shuffled, few, "p"), sample.draw(ROWS, many, "p")
    assert len(small) == few and {r.key for r in small} <= {r.key for r in large}
    assert large == sorted(large, key=lambda r: r.offset)


def test_gallery_prefers_different_songs() -> None:
    assert len({r.song for r in sample.draw_songs(ROWS, 4, "p")}) == 4
    assert len(sample.draw_songs(ROWS, 9, "p")) == 9
    assert sample.draw(ROWS, 6, "p") != sample.draw(ROWS, 6, "q")


def test_spread_is_numpys() -> None:
    values = np.random.default_rng(1).standard_normal(101)
    found = spread(values)
    assert found.n == 101
    assert found.p95 == pytest.approx(np.percentile(values, 95), abs=6e-4)
    assert found.median == pytest.approx(np.median(values), abs=6e-4)
