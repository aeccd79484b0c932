"""How many rejects stop a build."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_clips import NO_TAGS, clip, noises, scan_of

from manifests.errors import ManifestError
from manifests.rows import Reject
from pipeline.config import SetConfig
from pipeline.planned import Plan
from pipeline.reject_limit import check_rejects, reject_share
from pipeline.stages.plan import plan_set


def reject(name: str, reason: str = "truncated", corpus: str = "folder", split: str = "") -> Reject:
    detail = f"{name}.wav: {reason} indeed"
    return Reject(corpus, name, f"{name}.wav", "scan", reason, detail, split)


def plan_of(rejects: list[Reject], n_good: int = 18, noise_corpus: str = "musan") -> Plan:
    config = SetConfig(music=("folder",), noise=(noise_corpus,))
    music = scan_of([clip(f"c{i}") for i in range(n_good)], rejects=tuple(rejects))
    noise = scan_of([replace(n, corpus=noise_corpus) for n in noises(4)], noise_corpus)
    return plan_set(config, [music], [noise], NO_TAGS, band_hz=None)


def test_at_the_limit_goes_on_and_above_stops() -> None:
    plan = plan_of([reject("a"), reject("b")])
    check_rejects(plan, 10.0)
    with pytest.raises(ManifestError) as caught:
        check_rejects(plan, 9.9)
    assert str(caught.value) == (
        "folder: expected at most 9.9 % rejects, got 2 of 20 clips: 2 truncated (e.g. a.wav: "
        "truncated indeed). Mend the copy or raise --max-reject-percent"
    )


def test_zero_percent_allows_none() -> None:
    check_rejects(plan_of([]), 0.0)
    with pytest.raises(ManifestError, match="got 1 of 19 clips"):
        check_rejects(plan_of([reject("a")]), 0.0)


def test_the_commonest_reasons_are_named_with_their_first_file() -> None:
    rejects = [reject("z", "silent"), *(reject(f"t{i}") for i in range(3)), reject("y", "empty")]
    with pytest.raises(ManifestError) as caught:
        check_rejects(plan_of(rejects), 5.0)
    assert (
        "got 5 of 23 clips: 3 truncated (e.g. t0.wav: truncated indeed); 1 silent (e.g. z.wav"
        in (str(caught.value))
    )


def test_a_clip_counts_once() -> None:
    plan = plan_of([reject("a", "too-quiet"), reject("a", "too-quiet"), reject("a", "truncated")])
    assert reject_share(plan)["folder"][0] == 1


def test_known_broken_clips_do_not_count() -> None:
    check_rejects(plan_of([reject("a", "known-broken"), reject("b", "known-broken")]), 0.0)


def test_missing_files_count_but_for_audioset() -> None:
    with pytest.raises(ManifestError):
        check_rejects(plan_of([reject("a", "missing")]), 0.0)
    config = SetConfig(music=("folder",), noise=("audioset",))
    lost = reject("n", "missing", "audioset")
    noise = scan_of([replace(n, corpus="audioset") for n in noises(4)], "audioset", rejects=(lost,))
    plan = plan_set(config, [scan_of([clip()])], [noise], NO_TAGS, band_hz=None)
    check_rejects(plan, 0.0)


def test_files_that_audioset_lost_do_not_hide_broken_ones() -> None:
    """Of 900 clips listed 40 are on this disk, and 30 of them are broken."""
    lost = [reject(f"lost{i}", "missing", "audioset") for i in range(860)]
    broken = [reject(f"broken{i}", "truncated", "audioset") for i in range(30)]
    good = [replace(n, corpus="audioset") for n in noises(10)]
    noise = scan_of(good, "audioset", rejects=(*lost, *broken))
    config = SetConfig(music=("folder",), noise=("audioset",))
    plan = plan_set(config, [scan_of([clip()])], [noise], NO_TAGS, band_hz=None)
    assert reject_share(plan)["audioset"] == (30, 40)
    with pytest.raises(ManifestError, match="at most 5 % rejects, got 30 of 40 clips"):
        check_rejects(plan, 5.0)


def test_rejects_of_other_splits_count_against_the_whole_corpus() -> None:
    plan = plan_of([reject("a", split="test"), reject("b", split="train")])
    assert reject_share(plan)["folder"] == (2, 20)
    assert [r.clip_id for r in plan.rejects] == ["b"]
    only_elsewhere = plan_of([reject("a", split="test")])
    with pytest.raises(ManifestError, match="got 1 of 19 clips: none of them of split train"):
        check_rejects(only_elsewhere, 1.0)


def test_a_corpus_that_serves_as_music_and_as_noise_is_counted_in_both() -> None:
    plan = plan_of([reject("a")], n_good=49, noise_corpus="folder")
    assert reject_share(plan)["folder"] == (1, 54)
    check_rejects(plan, 2.0)
