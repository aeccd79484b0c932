"""Which members may be opened, and which SNRs can be made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_sets import RUNGS_DB, TAGS, write_set

from manifests.errors import UsageError
from trainer.data import reading as readings
from trainer.data.part import Part, check_parts, limit_part, make_part
from trainer.data.reading import Reading, View
from trainer.data.snr import SnrRange, draw_snr_db

NOISY = tuple(f"noisy.snr_{value:g}" for value in RUNGS_DB)


@pytest.mark.parametrize(
    ("reading", "members", "tags"),
    [
        (readings.LABELLED_CLEAN, ("clean",), True),
        (readings.UNLABELLED_CLEAN, ("clean",), False),
        (readings.UNLABELLED_NOISY, NOISY, False),
        (readings.LABELLED_NOISY, NOISY, True),
        (readings.LABELLED_EITHER, ("clean", *NOISY), True),
        (readings.LABELLED_PAIR, ("clean", *NOISY), True),
        (readings.UNLABELLED_PAIR, ("clean", *NOISY), False),
        (readings.CONTRASTIVE_CLEAN, ("clean",), False),
        (readings.CONTRASTIVE_NOISY, NOISY, False),
        (Reading((View.NOISY,), relevel="clean"), ("clean", *NOISY), False),
    ],
)
def test_the_table_of_members(reading: Reading, members: tuple[str, ...], tags: bool) -> None:
    assert reading.members(RUNGS_DB) == members
    assert reading.tags is tags


def test_recordings_have_one_member() -> None:
    assert readings.UNLABELLED_RECORDING.members(()) == ("audio",)
    with pytest.raises(UsageError, match="expected recordings of sets without noise"):
        readings.UNLABELLED_RECORDING.members(RUNGS_DB)
    with pytest.raises(UsageError, match=r"got \['clean'\] with rungs \(\) dB"):
        readings.LABELLED_CLEAN.members(())


def test_a_part_holds_nothing_that_it_may_not_open(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path))
    target = make_part(shard_set, readings.UNLABELLED_NOISY, domain="target")
    assert target.name == "tiny/target" and target.vocabulary == ()
    assert {member.name for ref in target.refs for member in ref.members} == set(NOISY)
    assert {ref.tags for ref in target.refs} == {()}
    source = make_part(shard_set, readings.LABELLED_CLEAN, domain="source", name="own")
    assert source.name == "own" and source.vocabulary == TAGS
    assert {member.name for ref in source.refs for member in ref.members} == {"clean"}
    assert not {ref.song for ref in source.refs} & {ref.song for ref in target.refs}


def part(snrs_db: tuple[float, ...], relevel: str, view: View = View.NOISY) -> Part:
    reading = Reading((view,), relevel=relevel)  # type: ignore[arg-type]
    return Part("p", (), reading, snrs_db, ())


@pytest.mark.parametrize("relevel", ["rungs", "clean"])
def test_snrs_between_rungs_can_be_drawn(relevel: str) -> None:
    values = part(RUNGS_DB, relevel).snr_values(SnrRange(-10, 10), "integer")
    assert values == tuple(range(-10, 11))
    assert part(RUNGS_DB, relevel).snr_values(SnrRange(-7, 7), "stored") == (-5.0, 0.0, 5.0)


def test_one_rung_needs_the_clean_member() -> None:
    with pytest.raises(
        UsageError, match=r"p: cannot hear -9, .* stores -10 dB.*--snr-relevel clean"
    ):
        part((-10.0,), "rungs").snr_values(SnrRange(-10, 10), "integer")
    assert part((-10.0,), "rungs").snr_values(SnrRange(-10, 10), "stored") == (-10.0,)
    assert part((-10.0,), "clean").snr_values(SnrRange(-10, 10), "integer")[-1] == 10.0
    with pytest.raises(UsageError, match="cannot set the SNR over the crop"):
        part((-10.0,), "rungs").check_snr_over("crop")
    part((-10.0,), "clean").check_snr_over("crop")


def test_snrs_beyond_the_rungs_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot hear 6, 7 dB"):
        part((5.0, -5.0), "rungs").snr_values(SnrRange(-5, 7), "integer")
    with pytest.raises(UsageError, match=r"cannot hear -6 dB.* below the lowest"):
        part((5.0, -5.0), "clean").snr_values(SnrRange(-6, 7), "integer")
    assert part(RUNGS_DB, "clean", View.CLEAN).snr_values(SnrRange(-90, 90), "integer") == ()


def test_ranges_without_a_value_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a whole number of dB within, got 0\.2 to 0\.8"):
        SnrRange(0.2, 0.8).values("integer", ())
    with pytest.raises(UsageError, match=r"expected one of \[5\.0\] dB within"):
        SnrRange(0, 1).values("stored", [5.0])
    assert SnrRange(0.7 + 1e-9, 1.0 - 1e-9).values("integer", ()) == (1.0,)


def test_draws_depend_on_the_example_alone_and_fill_the_range() -> None:
    values = tuple(float(value) for value in range(-10, 11))
    drawn = [draw_snr_db(values, 1, 0, f"key-{number}") for number in range(4_200)]
    assert drawn == [draw_snr_db(values, 1, 0, f"key-{number}") for number in range(4_200)]
    counts = [drawn.count(value) for value in values]
    assert min(counts) > 140 and max(counts) < 260  # 200 expected, 14 standard deviation


def test_parts_of_a_loader_must_fit(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path), n_songs=4)
    one = make_part(shard_set, readings.UNLABELLED_NOISY, domain="target")
    two = make_part(shard_set, readings.CONTRASTIVE_NOISY, domain="target")
    labelled = make_part(shard_set, readings.LABELLED_CLEAN, domain="source")
    with pytest.raises(UsageError, match="expected at least one part"):
        check_parts([])
    with pytest.raises(UsageError, match="expected 1 views an example as in tiny/target, got 2"):
        check_parts([one, two])
    with pytest.raises(UsageError, match="expected the tags of tiny/source in the same order"):
        check_parts([labelled, one])
    check_parts([one, one])


def test_a_part_can_be_limited(tmp_path: Path) -> None:
    whole = make_part(write_set(str(tmp_path)), readings.LABELLED_CLEAN, domain="source")
    keys = frozenset(ref.key for ref in whole.refs[:3])
    assert [ref.key for ref in limit_part(whole, keys).refs] == [r.key for r in whole.refs[:3]]
    with pytest.raises(UsageError, match="expected keys of the part, got other-key"):
        limit_part(whole, keys | {"other-key"})
