"""The plan: halves, shards, limits, noises, rejects. No audio is read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tiny_clips import NO_TAGS, clip, levels, noises, scan_of

from manifests.canonical import hash64
from manifests.errors import ManifestError, UsageError
from manifests.rows import Clip
from pipeline.config import SetConfig
from pipeline.planned import Plan, plan_line
from pipeline.stages.plan import in_split, plan_set, resolve_band_hz
from pipeline.tags import TagVocabulary

NOISES = noises(12)


def songs(n: int, clips_each: int = 3) -> list[Clip]:
    return [
        clip(f"song{s}/{c}", song=f"song{s}", artist=f"artist{s % 5}")
        for s in range(n)
        for c in range(clips_each)
    ]


def plan_of(
    music: list[Clip],
    noise: list[Clip] | None = None,
    vocabulary: TagVocabulary = NO_TAGS,
    **fields: Any,
) -> Plan:
    config = SetConfig(name="set", music=("folder",), noise=("folder",), **fields)
    scans = [scan_of(NOISES if noise is None else noise)]
    return plan_set(config, [scan_of(music)], scans, vocabulary, band_hz=None)


def test_no_song_is_in_both_halves() -> None:
    halves = defaultdict(set)
    for row in plan_of(songs(60)).rows:
        halves[row.music.song].add(row.domain)
    assert all(len(domains) == 1 for domains in halves.values())
    sources = sum(domains == {"source"} for domains in halves.values())
    assert 15 < sources < 45 and len(halves) == 60


def test_the_half_of_a_song_is_a_hash_of_seed_and_song() -> None:
    for row in plan_of(songs(20), seed=5).rows:
        expected = ("source", "target")[hash64(5, "half", "folder", row.music.song) & 1]
        assert row.domain == expected


@pytest.mark.parametrize(
    ("halves", "split", "expected"),
    [("auto", "test", {None}), ("none", "train", {None}), ("target", "train", {"target"}),
     ("both", "train", {"source", "target"})],
)  # fmt: skip
def test_domains_as_asked(halves: str, split: str, expected: set[str | None]) -> None:
    music = [replace(c, split=split) for c in songs(20)]
    plan = plan_of(music, halves=halves, split=split, noise_split=split)
    assert {row.domain for row in plan.rows} == expected


def test_a_shard_holds_one_half_and_no_more_than_asked() -> None:
    shards = plan_of(songs(40), examples_per_shard=7).shards()
    assert list(shards) == list(range(len(shards)))
    sizes: dict[str | None, list[int]] = defaultdict(list)
    for rows in shards.values():
        assert len({row.domain for row in rows}) == 1
        sizes[rows[0].domain].append(len(rows))
    for found in sizes.values():
        assert all(size == 7 for size in found[:-1]) and 1 <= found[-1] <= 7


def test_examples_go_to_shards_in_hash_order() -> None:
    plan = plan_of(songs(30), examples_per_shard=7, seed=3)
    for domain in ("source", "target"):
        keys = [row.key for row in plan.rows if row.domain == domain]
        assert keys == sorted(keys, key=lambda key: hash64(3, "order", key))


def test_limit_takes_the_smallest_hashes_and_changes_nothing_else() -> None:
    music = songs(40)
    full = plan_of(music, noises=2)
    small = plan_of(music, noises=2, limit=17)
    by_key = {row.key: row for row in full.rows}
    assert len(small.rows) == 17
    assert all(replace(row, shard=by_key[row.key].shard) == by_key[row.key] for row in small.rows)
    order = sorted(by_key, key=lambda key: hash64(0, "order", key))
    assert {row.key for row in small.rows} == set(order[:17])
    assert {row.key for row in small.rows} < {row.key for row in plan_of(music, limit=30).rows}


def test_one_noise_is_the_first_of_two_and_two_the_first_of_four() -> None:
    music = songs(20)
    plans = [{row.key: row for row in plan_of(music, noises=k).rows} for k in (1, 2, 4)]
    for key, row in plans[0].items():
        one, two, four = (p[key].noises for p in plans)
        assert one == two[:1] and two == four[:2] and len(four) == 4
        assert row.music == plans[2][key].music and row.domain == plans[2][key].domain


def test_one_missing_noise_changes_only_its_users() -> None:
    music = songs(20)
    lost = NOISES[4]
    before = plan_of(music, noises=2).rows
    after = {
        row.key: row for row in plan_of(music, [n for n in NOISES if n != lost], noises=2).rows
    }
    users = [row for row in before if lost.clip_id in {n.clip_id for n in row.noises}]
    assert 0 < len(users) < len(before)
    for row in before:
        if row in users:
            assert after[row.key].noises != row.noises
        else:
            assert after[row.key] == row


def test_the_order_of_the_scan_does_not_matter() -> None:
    music = songs(30)
    rng = np.random.default_rng(1)
    shuffled = [music[i] for i in rng.permutation(len(music))]
    mixed = [NOISES[i] for i in rng.permutation(len(NOISES))]
    assert plan_of(shuffled, mixed, noises=4).rows == plan_of(music, noises=4).rows


def test_a_further_clip_moves_no_draw_of_the_others() -> None:
    music = songs(20)
    before = {row.key: row for row in plan_of(music).rows}
    after = {row.key: row for row in plan_of([*music, clip("new")]).rows}
    assert all(replace(after[key], shard=row.shard) == row for key, row in before.items())


def test_the_seed_changes_halves_noises_and_order() -> None:
    music = songs(30)
    one, two = plan_of(music), plan_of(music, seed=1)
    assert [r.key for r in one.rows] != [r.key for r in two.rows]
    first = {row.key: row for row in one.rows}
    assert any(first[r.key].domain != r.domain for r in two.rows)
    assert any(first[r.key].noises != r.noises for r in two.rows)


def test_hash_of_a_plan_covers_all_but_the_paths() -> None:
    plan = plan_of(songs(5))
    moved = [replace(c, path=f"elsewhere/{c.path}") for c in songs(5)]
    assert plan_of(moved).sha256() == plan.sha256()
    assert plan_of([replace(c, source_sha256="1" * 64) for c in songs(5)]).sha256() != plan.sha256()
    assert "path" not in plan_line(plan.rows[0])


def test_splits_of_music_and_noise() -> None:
    music = [clip("a", split="train"), clip("b", split="test"), clip("c", split="any")]
    assert [c.clip_id for c in in_split(music, "train")] == ["a", "c"]
    assert [c.clip_id for c in in_split(music, "all")] == ["a", "b", "c"]
    noise = [clip("n1", 20, split="train"), clip("n2", 20, split="test")]
    plan = plan_of(music, noise, split="test", noise_split="train")
    assert {n.clip_id for row in plan.rows for n in row.noises} == {"n1"}
    assert {row.music.clip_id for row in plan.rows} == {"b", "c"}
    assert {row.split for row in plan.rows} == {"test"}


def test_recordings_have_no_noise() -> None:
    config = SetConfig(music=("folder",), split="test")
    scans = [scan_of([clip("a", split="test")])]
    plan = plan_set(config, scans, [], NO_TAGS, band_hz=None)
    assert [row.noises for row in plan.rows] == [()]


def test_tags_are_those_of_the_vocabulary_in_its_order() -> None:
    vocabulary = TagVocabulary(
        ("piano", "rock"), {"piano": {}, "rock": {}}, merge={"keys": "piano"}
    )
    music = [clip("a", tags=("keys", "rock", "unknown"))]
    assert plan_of(music, vocabulary=vocabulary).rows[0].tags == ("piano", "rock")
    assert plan_of(music, vocabulary=vocabulary, with_tags=False).rows[0].tags == ()


def test_short_inactive_and_quiet_clips_are_named_rejects() -> None:
    music = [
        clip("good"),
        clip("short", 2.6),
        clip("rare", 10.0, rms_db=levels((40, -20), (60, -128))),
        clip("quiet", level_db=-59),
    ]
    plan = plan_of(music, snrs_db=(20.0, 0.0))
    assert [row.music.clip_id for row in plan.rows] == ["good"]
    details = {(r.clip_id, r.stage, r.reason): r.detail for r in plan.rejects}
    assert details == {
        ("short", "plan", "too-short"): "short.wav: expected at least 2.678 s, got 2.600 s",
        (
            "rare",
            "plan",
            "inactive",
        ): "rare.wav: expected a span with sound in half of it, got none",
        ("quiet", "plan", "too-quiet"): next(
            r.detail for r in plan.rejects if r.clip_id == "quiet"
        ),
    }
    quiet = details["quiet", "plan", "too-quiet"]
    assert quiet.startswith("quiet.wav: folder-quiet-") and (
        "expected clean and noise above -70 dBFS at every SNR, got -80 dBFS" in quiet
    )


def test_a_noise_shorter_than_asked_is_a_named_reject() -> None:
    plan = plan_of(songs(2), [*NOISES, clip("blip", 0.05, split="any")])
    (reject,) = plan.rejects
    assert (reject.clip_id, reject.reason) == ("blip", "too-short")
    assert reject.detail == "blip.wav: expected at least 0.100 s (--min-noise-s), got 0.050 s"


def test_quiet_music_is_kept_where_it_is_kept_as_it_is() -> None:
    config = SetConfig(music=("folder",), split="train", halves="none")
    plan = plan_set(config, [scan_of([clip("quiet", level_db=-59)])], [], NO_TAGS, band_hz=None)
    assert len(plan.rows) == 1


def test_a_split_without_clips_says_which_there_are() -> None:
    with pytest.raises(ManifestError) as caught:
        plan_of(songs(2), split="valid", noise_split="valid")
    assert str(caught.value) == (
        "folder: expected music clips of split valid, got none; usable clips by split: {'train': 6}"
    )
    with pytest.raises(ManifestError, match="expected noise clips of split test, got none"):
        plan_of(songs(2), [clip("n", split="valid")], noise_split="test")


def test_too_few_noises_is_wrong_use() -> None:
    with pytest.raises(UsageError) as caught:
        plan_of(songs(2), NOISES[:3], noises=4, noise_split="train")
    assert str(caught.value) == (
        "--noises 4: expected that many usable noise clips, got 3 of split train"
    )


def test_nothing_left_says_why() -> None:
    with pytest.raises(ManifestError) as caught:
        plan_of([clip("a", 1.0), clip("b", 2.0), clip("c", level_db=-61)])
    assert str(caught.value) == (
        "set: expected examples to build, got none: 2 too-short (e.g. a.wav: expected at least "
        "2.678 s, got 1.000 s); 1 inactive (e.g. c.wav: expected a span with sound in half of it, "
        "got none)"
    )


def test_two_clips_with_one_key_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight hex digits of a hash: a collision is rare, not impossible."""
    monkeypatch.setattr("pipeline.choose.example_key", lambda *parts: "folder-x-00000000-0")
    with pytest.raises(ManifestError) as caught:
        plan_of([clip("a"), clip("b")])
    assert str(caught.value) == (
        "expected a key of its own for every file, got one for b.wav and a.wav "
        "(folder-x-00000000-0); rename one file of each pair"
    )
    with pytest.raises(ManifestError) as caught:
        plan_of([clip(f"c{i:02d}") for i in range(26)])
    assert str(caught.value).count(" and c00.wav (") == 20
    assert str(caught.value).endswith("; and 5 more; rename one file of each pair")


def test_names_without_a_latin_letter_have_keys_of_their_own() -> None:
    music = [clip(name) for name in ("夜に駆ける", "群青", "三原色", "Тройка", "!!!", "1")]
    keys = [row.key for row in plan_of(music).rows]
    assert len(set(keys)) == 6


def test_the_band_comes_from_all_corpora_of_the_set() -> None:
    narrow = scan_of([clip("n", source_rate=16_000, bandwidth_hz=8_000.0)])
    assert resolve_band_hz(SetConfig(), [scan_of([clip("m")])], [narrow]) == 7_200.0
