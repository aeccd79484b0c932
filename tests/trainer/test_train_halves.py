"""What each method opens and reads of the source half and of the target half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pitfall_checks import FEW
from tiny_sets import write_set
from tiny_suite import COMPARISON, DAT, TRAIN_SET, assert_same_weights, run_well, song_tags

import trainer.data.members as members
from manifests.shardset import load_set
from trainer.data import load_refs


def spy_on_members(patch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Note corpus, half and name of every member that is opened."""
    opened: list[tuple[str, str, str]] = []
    real = members.check_member

    def check(block: bytes, n_bytes: int, ref: Any, member: Any) -> None:
        opened.append((ref.song.split(":")[0], str(ref.domain), member.name))
        real(block, n_bytes, ref, member)

    patch.setattr(members, "check_member", check)
    return opened


CLEAN = {"clean"}
NOISY = {"noisy.snr_10", "noisy.snr_0", "noisy.snr_-10"}
OPENED = {
    "dat": (CLEAN, NOISY),
    "baseline": (CLEAN, set()),
    "supervised": (CLEAN, NOISY),
    "full-clean": (CLEAN, CLEAN),
    "labelled-noise": (CLEAN | NOISY, set()),
    "adabn": (CLEAN, NOISY),
    "consistency": (CLEAN | NOISY, set()),
    "robust": (CLEAN | NOISY, CLEAN | NOISY),
}  # fmt: skip


@pytest.mark.parametrize("method", OPENED)
def test_a_spy_sees_what_each_half_may_give(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The table of DESIGN section 6; stage 1 was given and opens its own set."""
    opened = spy_on_members(monkeypatch)
    options = (*(DAT if method == "dat" else COMPARISON), *FEW)
    run_well(method, "--shards", suite, "--out", tmp_path, "--encoder", dat_run, *options)
    halves = [
        {n for c, d, n in opened if (c, d) == ("train", half)} for half in ("source", "target")
    ]
    source, target = OPENED[method]
    assert halves[1] <= target and bool(halves[1]) == bool(target)
    assert (
        halves[0] <= source
        and bool(halves[0] & CLEAN)
        and bool(halves[0] & NOISY) == bool(source & NOISY)
    )


@pytest.mark.parametrize(
    ("method", "same"), [("dat", True), ("adabn", True), ("robust", True), ("supervised", False)]
)
def test_permuting_target_tags_changes_only_who_may_read_them(
    suite: Path, dat_run: Path, tmp_path: Path, method: str, same: bool
) -> None:
    other = tmp_path / "train"
    write_set(str(other), n_songs=8, tags=song_tags(1, of_targets_only=True), **TRAIN_SET)
    for name, train in (("a", suite / "train"), ("b", other)):
        sets = ("--shards", suite, "--set", f"train={train}")
        out = ("--out", tmp_path / name, "--encoder", dat_run)
        run_well(method, *sets, *out, *(DAT if method == "dat" else COMPARISON), *FEW)
    pair = (tmp_path / "b" / "checkpoints" / "last", tmp_path / "a" / "checkpoints" / "last")
    if same:
        assert_same_weights(*pair)
    else:
        with pytest.raises(AssertionError):
            assert_same_weights(*pair)


def test_no_song_is_in_both_halves(suite: Path) -> None:
    for name in ("train", "pretrain-train"):
        shard_set = load_set(str(suite / name))
        songs = [{r.song for r in load_refs(shard_set, domain=d)} for d in ("source", "target")]
        assert songs[0] and songs[1] and not songs[0] & songs[1]
