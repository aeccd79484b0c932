"""Demo MagnaTagATune against the official layout and formats; nothing is rendered."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from pipeline.corpora.checked_in import MTAT_TOP50, checked_in_list
from pipeline.demo.mtat import plan_mtat, tag_names
from pipeline.demo.plans import CorpusPlan

SPLIT = {**dict.fromkeys("0123456789ab", "train"), "c": "valid", **dict.fromkeys("def", "test")}
SEEDS = (0, 1, 7)


@cache
def plan(seed: int = 0) -> CorpusPlan:
    return plan_mtat(seed)


def rows(text: str, delimiter: str = "\t") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def mtat_clips(seed: int = 0) -> list[tuple[str, str, set[str]]]:
    """(clip id, path, tags) of the rows that are whole."""
    header, *table = rows(plan(seed).texts["annotations_final.csv"])
    return [
        (row[0], row[-1], {name for name, mark in zip(header, row, strict=True) if mark == "1"})
        for row in table
        if len(row) == len(header)
    ]


def test_mtat_columns_are_the_188_tags_in_official_order(shared_dir: Path) -> None:
    official = (shared_dir / "metadata/magnatagatune/tags_188_csv_order.txt").read_text()
    assert list(tag_names()) == official.splitlines()


def test_mtat_annotations_have_the_official_form() -> None:
    text = plan().texts["annotations_final.csv"]
    header, *table = rows(text)
    assert header == ["clip_id", *tag_names(), "mp3_path"] and len(header) == 190
    assert text.startswith('"clip_id"\t"no voice"\t') and "\r" not in text
    assert Counter(len(row) for row in table) == {190: 450, 183: 1}
    ids = [int(row[0]) for row in table]
    assert ids == sorted(set(ids)) and ids[0] == 2
    assert not {35644, 55753, 57881} & set(ids)
    assert {mark for row in table for mark in row[1:-1]} == {"0", "1"}


def test_mtat_clip_info_names_the_same_clips() -> None:
    header, *table = rows(plan().texts["clip_info_final.csv"])
    assert header == [
        "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart",
        "segmentEnd", "original_url", "mp3_path",
    ]  # fmt: skip
    with_file = [row for row in table if row[-1]]
    assert len(table) > len(with_file) == 451
    paths = {clip_id: path for clip_id, path, _ in mtat_clips()}
    for row in with_file:
        assert paths.get(row[0], row[-1]) == row[-1]
        slug = "_".join(row[3].lower().split())
        assert row[-1].split("/")[1].startswith(slug + "-")
        assert row[-1].endswith(f"-{row[6]}-{row[7]}.mp3")
        assert int(row[7]) - int(row[6]) == 9


@pytest.mark.parametrize("seed", SEEDS)
def test_mtat_songs_lie_in_one_folder_and_name_their_windows(seed: int) -> None:
    form = re.compile(r"([0-9a-f])/([a-z0-9_]+)-([a-z0-9_]+)-(\d\d)-([a-z0-9_]+)-(\d+)-(\d+)\.mp3")
    folders, artists = defaultdict(set), defaultdict(set)
    clips: Counter[str] = Counter()
    for file in plan(seed).files:
        match = form.fullmatch(file.path)
        assert match and int(match[7]) - int(match[6]) == 9
        song = "-".join(match.group(2, 3, 4, 5))
        folders[song].add(match[1])
        clips[song] += 1
        artists[SPLIT[match[1]]].add(match[2])
        assert (file.encoding.sample_rate, file.encoding.channels) == (16_000, 1)
        assert file.duration_s >= 9.0
    assert set(clips.values()) == {3} and all(len(found) == 1 for found in folders.values())
    songs = Counter(SPLIT[next(iter(found))] for found in folders.values())
    assert songs == {"train": 100, "valid": 14, "test": 36}
    assert len(artists["test"]) >= 18
    assert 0 < len(artists["train"] & artists["test"]) < 8


@pytest.mark.parametrize("seed", SEEDS)
def test_mtat_tags_occur_and_are_absent_in_every_split(seed: int) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sizes: Counter[str] = Counter()
    n_untagged = n_rare = n_tags = 0
    top50 = set(checked_in_list(MTAT_TOP50))
    for _, path, tags in mtat_clips(seed):
        split = SPLIT[path[0]]
        sizes[split] += 1
        counts[split].update(tags & top50)
        n_tags += len(tags)
        n_untagged += not tags
        n_rare += bool(tags) and not tags & top50
    assert set(counts["train"]) == set(counts["valid"]) == set(counts["test"])
    assert len(counts["train"]) == 20
    for split, least in (("train", 20), ("valid", 5), ("test", 9)):
        for tag, n in counts[split].items():
            assert least <= n <= sizes[split] - least, (split, tag)
    assert n_untagged == 3 and n_rare == 6
    assert 3.0 < n_tags / sum(sizes.values()) < 5.5


@pytest.mark.parametrize("seed", SEEDS)
def test_rejects_stay_below_five_percent_of_every_part(seed: int) -> None:
    broken = Counter(SPLIT[file.path[0]] for file in plan(seed).files if file.breakage)
    # The ragged row is one of training, the missing file one of testing.
    lost = {"train": broken["train"] + 1, "valid": broken["valid"], "test": broken["test"] + 1}
    for split, n_clips in (("train", 180), ("valid", 30), ("test", 79)):
        assert lost[split] < 0.05 * n_clips
    assert sum(lost.values()) == len(plan(seed).expected_rejects)
