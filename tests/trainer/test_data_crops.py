"""Views: where they are cut, and that they are what the members hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_sets import RUNGS_DB, write_set

from manifests.errors import ManifestError
from manifests.member_audio import decode_pcm
from manifests.shardset import ShardSet
from manifests.signal import power, power_db
from trainer.data import reading as readings
from trainer.data.crops import ExampleViews, crop_pcm, cut_views
from trainer.data.draws import ExampleDraw, draw_example
from trainer.data.index import ExampleRef, load_refs
from trainer.data.members import ShardReader
from trainer.data.part import Part, make_part
from trainer.data.reading import Reading, View
from trainer.data.rungs import SnrOver

N = 2_000


def drawn(
    part: Part,
    ref: ExampleRef,
    pass_number: int = 0,
    snrs: tuple[float, ...] = tuple(map(float, range(-10, 11))),
    over: SnrOver = "clip",
) -> ExampleDraw:
    return draw_example(
        part,
        ref,
        seed=3,
        pass_number=pass_number,
        crop_samples=N,
        snr_values=snrs if part.draws_snr else (),
        snr_over=over,
    )


def heard(draw: ExampleDraw, over: SnrOver = "clip") -> ExampleViews:
    with ShardReader() as reader:
        (contents,) = reader.read([(draw.ref, draw.members)])
    return cut_views(draw, contents, N, over)


def whole(shard_set: ShardSet, key: str, member: str) -> np.ndarray:
    (ref,) = (ref for ref in load_refs(shard_set) if ref.key == key)
    with ShardReader() as reader:
        data = reader.read([(ref, (member,))])[0][member]
    return (decode_pcm(data, "x")[0] / 32_768.0).astype(np.float32)


@pytest.fixture(scope="module")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    return write_set(str(tmp_path_factory.mktemp("crops")), n_songs=6)


@pytest.mark.parametrize("snr_db", RUNGS_DB)
def test_a_stored_rung_is_read_alone_and_bit_exact(shard_set: ShardSet, snr_db: float) -> None:
    part = make_part(shard_set, readings.UNLABELLED_NOISY, domain="target")
    draw = drawn(part, part.refs[0], snrs=(snr_db,))
    assert draw.members == (f"noisy.snr_{snr_db:g}",)
    views = heard(draw)
    (start,) = draw.starts
    expected = whole(shard_set, draw.ref.key, draw.members[0])[start : start + N]
    np.testing.assert_array_equal(views.waveforms[0], expected)
    assert views.waveforms[0].dtype == np.float32
    assert (views.noisy, views.snr_db) == ((True,), snr_db)


@pytest.mark.parametrize("over", ["clip", "crop"])
def test_rungs_and_clean_give_the_same_mix(shard_set: ShardSet, over: SnrOver) -> None:
    by_rungs = make_part(shard_set, readings.UNLABELLED_NOISY, domain="target")
    by_clean = make_part(shard_set, Reading((View.NOISY,), relevel="clean"), domain="target")
    for snr_db in (-9.0, -3.0, 7.0):
        a = drawn(by_rungs, by_rungs.refs[0], snrs=(snr_db,), over=over)
        b = drawn(by_clean, by_clean.refs[0], snrs=(snr_db,), over=over)
        assert a.members == ("noisy.snr_10", "noisy.snr_-10")
        assert b.members == ("clean", "noisy.snr_-10")
        assert a.starts == b.starts
        mixes = [heard(draw, over).waveforms[0] for draw in (a, b)]
        # Over the crop, rounding also moves the level that is measured, hence the wider bound.
        assert np.max(np.abs(mixes[0] - mixes[1])) * 32_768 <= (2.0 if over == "clip" else 8.0)


def test_over_the_crop_the_crop_has_the_snr(shard_set: ShardSet) -> None:
    part = make_part(shard_set, readings.LABELLED_PAIR, domain="source")
    off_db = []
    for ref in part.refs:
        for over in ("clip", "crop"):
            draw = drawn(part, ref, snrs=(0.0,), over=over)
            clean, noisy = (w.astype(np.float64) for w in heard(draw, over).waveforms)
            off_db.append(abs(power_db(power(clean)) - power_db(power(noisy - clean))))
    assert max(off_db[1::2]) < 0.1
    assert max(off_db[0::2]) > 1.0  # the crops do differ from their clips


def test_a_pair_is_cut_at_one_place_and_contrastive_views_each_at_its_own(
    shard_set: ShardSet,
) -> None:
    pair = make_part(shard_set, readings.LABELLED_PAIR, domain="source")
    two = make_part(shard_set, readings.CONTRASTIVE_NOISY, domain="target")
    assert all(len(set(drawn(pair, ref).starts)) == 1 for ref in pair.refs)
    starts = [drawn(two, ref).starts for ref in two.refs]
    assert sum(len(set(start)) == 2 for start in starts) > len(starts) // 2
    views = heard(drawn(two, two.refs[0], snrs=(3.0,)))
    assert views.noisy == (True, True) and views.snr_db == 3.0


def test_draws_change_with_the_pass_and_cover_the_clip(shard_set: ShardSet) -> None:
    part = make_part(shard_set, readings.LABELLED_CLEAN, domain="source")
    starts = [drawn(part, part.refs[0], pass_number=n).starts[0] for n in range(400)]
    assert starts == [drawn(part, part.refs[0], pass_number=n).starts[0] for n in range(400)]
    assert 0 <= min(starts) < 60 and 2_940 < max(starts) <= 3_000
    assert len(set(starts)) > 350


def test_either_is_a_fair_coin(shard_set: ShardSet) -> None:
    part = make_part(shard_set, readings.LABELLED_EITHER, domain="source")
    noisy = [drawn(part, part.refs[0], pass_number=n) for n in range(1_000)]
    assert 430 < sum(draw.noisy[0] for draw in noisy) < 570
    for draw in noisy[:50]:
        assert (draw.target_db is not None) == draw.noisy[0]
        assert ("clean" in draw.members) == (not draw.noisy[0] or draw.target_db not in RUNGS_DB)


def test_the_whole_clip_is_a_crop(shard_set: ShardSet) -> None:
    part = make_part(shard_set, readings.LABELLED_CLEAN, domain="source")
    draw = draw_example(part, part.refs[0], seed=0, pass_number=0, crop_samples=5_000,
                        snr_values=(), snr_over="clip")  # fmt: skip
    assert draw.starts == (0,)
    with pytest.raises(ManifestError, match=f"{draw.ref.key}: expected at least 5001 samples"):
        draw_example(part, part.refs[0], seed=0, pass_number=0, crop_samples=5_001,
                     snr_values=(), snr_over="clip")  # fmt: skip


def test_recordings_count_as_noisy_at_no_known_snr(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path), n_songs=2, snrs_db=(), halves=False)
    part = make_part(shard_set, readings.UNLABELLED_RECORDING)
    draw = drawn(part, part.refs[0])
    assert (draw.members, draw.noisy, draw.target_db) == (("audio",), (True,), None)
    start = draw.starts[0]
    expected = whole(shard_set, draw.ref.key, "audio")[start : start + N]
    np.testing.assert_array_equal(heard(draw).waveforms[0], expected)


def test_wav_members_are_hashed_whole(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path), n_songs=2, codec="wav", n_samples=3_000)
    ref = load_refs(shard_set)[0]
    with ShardReader() as reader:
        data = reader.read([(ref, ("clean",))])[0]["clean"]
    pcm = crop_pcm(ref, "clean", data, 100, 50)
    np.testing.assert_array_equal(pcm, decode_pcm(data, "x")[0][100:150])
    changed = data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]
    with pytest.raises(ManifestError, match=rf"{ref.key}\.clean\.wav: expected samples with SHA"):
        crop_pcm(ref, "clean", changed, 100, 50)
