"""What a loader must never do: open what it may not, go on with other data, lose an error."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_loaders import CONFIG, assert_same, loader
from tiny_sets import TAGS, write_set

import trainer.data.crops as crops
import trainer.data.members as members
from manifests.errors import ManifestError, UsageError
from manifests.shardset import ShardSet
from trainer.data import Loader, SnrRange, make_part
from trainer.data import reading as readings


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return write_set(str(tmp_path_factory.mktemp("loader")), n_songs=16, excerpts=3)


def test_snrs_that_cannot_be_heard_are_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    compact = write_set(str(tmp_path), n_songs=8, snrs_db=(-10.0,))
    target = loader(compact, readings.UNLABELLED_NOISY, "target")
    with pytest.raises(UsageError, match="the set stores -10 dB"):
        target.batches(0, 1)
    stored = loader(
        compact, readings.UNLABELLED_NOISY, "target", replace(CONFIG, snr_draw="stored")
    )
    assert {s for b in stored.epoch(0) for s in b.views[0].snr_db.tolist()} == {-10.0}
    ingredient = loader(compact, replace(readings.UNLABELLED_NOISY, relevel="clean"), "target")
    assert len(list(ingredient.epoch(0))) == 2
    with pytest.raises(UsageError, match="cannot hear 11 dB"):
        loader(compact, readings.UNLABELLED_NOISY, "target").batches(0, 3, snr=SnrRange(11, 11))


@pytest.mark.parametrize("over", ["clip", "crop"])
def test_a_spy_sees_no_target_clean_member(
    shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch, over: str
) -> None:
    opened: list[tuple[str, str]] = []
    real_check, real_decode = members.check_member, crops.decode_crop

    def check(
        block: bytes, n_bytes: int, ref: members.ExampleRef, member: members.MemberRef
    ) -> None:
        opened.append((str(ref.domain), member.name))
        real_check(block, n_bytes, ref, member)

    decoded: list[str] = []
    monkeypatch.setattr(members, "check_member", check)
    monkeypatch.setattr(crops, "decode_crop", lambda *a: decoded.append(a[1]) or real_decode(*a))
    config = replace(CONFIG, snr_over=over)
    list(loader(shard_set, readings.UNLABELLED_NOISY, "target", config).batches(0, 12))
    assert {domain for domain, _ in opened} == {"target"}
    assert {name for _, name in opened} <= {
        "noisy.snr_10", "noisy.snr_5", "noisy.snr_0", "noisy.snr_-5", "noisy.snr_-10",
    }  # fmt: skip
    assert decoded and not any(".clean." in name for name in decoded)
    opened.clear()
    list(loader(shard_set, readings.LABELLED_CLEAN, "source", config).batches(0, 12))
    assert set(opened) == {("source", "clean")}


def test_permuting_target_tags_changes_nothing(tmp_path: Path) -> None:
    songs = [f"song-{number:02d}" for number in range(16)]
    tags = {song: [TAGS[number % 4]] for number, song in enumerate(songs)}
    other = tags | {song: [TAGS[(n + 3) % 4]] for n, song in enumerate(songs) if n % 2}
    found = []
    for name, own in (("a", tags), ("b", other)):
        shard_set = write_set(str(tmp_path / name), n_songs=16, tags=own)
        target = loader(shard_set, readings.UNLABELLED_NOISY, "target")
        source = loader(shard_set, readings.LABELLED_CLEAN, "source")
        found.append((list(target.batches(0, 6)), list(source.batches(0, 6)), target.fingerprint))
    assert_same(found[1][0], found[0][0])
    assert_same(found[1][1], found[0][1])
    assert found[0][2] == found[1][2]


def test_the_place_of_a_set_changes_nothing(shard_set: ShardSet, tmp_path: Path) -> None:
    shutil.copytree(shard_set.url, tmp_path / "moved")
    moved = replace(shard_set, url=str(tmp_path / "moved"))
    a, b = (loader(one, readings.LABELLED_PAIR, "source") for one in (shard_set, moved))
    assert_same(list(b.epoch(3)), list(a.epoch(3)))
    assert a.fingerprint == b.fingerprint


def test_state_is_refused_by_another_loader(shard_set: ShardSet) -> None:
    source = loader(shard_set, readings.LABELLED_CLEAN, "source")
    state = source.state(7)
    assert loader(shard_set, readings.LABELLED_CLEAN, "source").check_state(state) == 7
    workers = replace(CONFIG, n_workers=5, prefetch=9)
    assert loader(shard_set, readings.LABELLED_CLEAN, "source", workers).check_state(state) == 7
    others = [
        loader(shard_set, readings.LABELLED_CLEAN, "target"),
        loader(shard_set, readings.UNLABELLED_CLEAN, "source"),
        loader(shard_set, readings.LABELLED_CLEAN, "source", replace(CONFIG, seed=1)),
        loader(shard_set, readings.LABELLED_CLEAN, "source", replace(CONFIG, batch_size=3)),
        Loader(
            [make_part(shard_set, readings.LABELLED_CLEAN, domain="source")],
            CONFIG, rank=0, world_size=2,
        ),
    ]  # fmt: skip
    for other in others:
        with pytest.raises(UsageError, match="expected the data, seed, batch size and ranks"):
            other.check_state(state)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_errors_of_workers_keep_their_kind_and_text(tmp_path: Path, n_workers: int) -> None:
    shard_set = write_set(str(tmp_path), n_songs=8)
    source = loader(
        shard_set, readings.LABELLED_CLEAN, "source", replace(CONFIG, n_workers=n_workers)
    )
    (tmp_path / "shard-000000.tar").write_bytes(b"")
    (tmp_path / "shard-000001.tar").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"^\S+shard-00000\d\.tar: tiny-\S+: clean: .* short"):
        list(source.epoch(0))
    narrow = source.batches(0, 2, snr=SnrRange(-10, 10))
    with pytest.raises(ManifestError):
        list(narrow)
