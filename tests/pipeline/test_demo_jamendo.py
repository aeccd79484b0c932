"""Demo MTG-Jamendo against the official layout and formats; nothing is rendered."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from pipeline.demo.jamendo import plan_jamendo
from pipeline.demo.plans import AudioFile, CorpusPlan

SEEDS = (0, 1, 7)


@cache
def plan(seed: int = 0) -> CorpusPlan:
    return plan_jamendo(seed)


def jamendo_table(name: str, seed: int = 0) -> dict[str, list[str]]:
    text = plan(seed).texts[f"data/{name}.tsv"]
    assert text.endswith("\r\n") and text.count("\r\n") == text.count("\n")
    header, *table = [line.split("\t") for line in text.split("\r\n")[:-1]]
    assert header == ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
    assert [row[0] for row in table] == sorted(row[0] for row in table)
    return {row[0]: row for row in table}


def test_jamendo_tables_have_the_official_form() -> None:
    whole = jamendo_table("autotagging")
    assert len(whole) == 62
    for track_id, row in whole.items():
        number = int(track_id.removeprefix("track_"))
        assert re.fullmatch(r"track_\d{7}", track_id)
        assert re.fullmatch(r"artist_\d{6}", row[1]) and re.fullmatch(r"album_\d{6}", row[2])
        assert row[3] == f"{number % 100:02d}/{number}.mp3"
        assert re.fullmatch(r"\d+\.\d", row[4])
        assert all(re.fullmatch(r"(genre|instrument|mood/theme)---\w+", tag) for tag in row[5:])
    assert len({len(row) for row in whole.values()}) > 3
    assert max(float(row[4]) for row in whole.values()) == 70.0


def test_jamendo_audio_is_listed_in_full_or_low_quality() -> None:
    whole = jamendo_table("autotagging")
    durations = {row[3]: float(row[4]) for row in whole.values()}
    low = 0
    for file in plan().files:
        assert durations.pop(file.path.replace(".low.mp3", ".mp3")) == file.duration_s
        is_low = file.path.endswith(".low.mp3")
        assert (file.encoding.channels, file.encoding.sample_rate) == (1 if is_low else 2, 44_100)
        low += is_low
    assert not durations and 10 < low < 31


def test_jamendo_has_one_ragged_row_and_tracks_of_one_category() -> None:
    genre = jamendo_table("autotagging_genre")
    mood = jamendo_table("autotagging_moodtheme")
    assert [len(row) for row in genre.values() if len(row) < 6] == [4]
    assert all(len(row) > 5 for row in mood.values())
    assert len(genre.keys() - mood.keys()) == len(mood.keys() - genre.keys()) == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("split", range(5))
def test_jamendo_splits_part_the_artists(split: int, seed: int) -> None:
    parts = ("train", "validation", "test")
    folder = f"splits/split-{split}/autotagging"
    tables = {part: jamendo_table(f"{folder}-{part}", seed) for part in parts}
    artists = {part: {row[1] for row in table.values()} for part, table in tables.items()}
    assert not artists["train"] & artists["test"] and not artists["train"] & artists["validation"]
    assert not artists["test"] & artists["validation"]
    assert [len(tables[part]) for part in parts] == [50, 6, 6]
    tags = {tag for table in tables.values() for row in table.values() for tag in row[5:]}
    assert not tags & {"genre---tribal", "mood/theme---mellow"}
    assert {tag.split("---")[0] for tag in tags} == {"genre", "instrument", "mood/theme"}


def test_jamendo_tags_are_official_ones(shared_dir: Path) -> None:
    folder = shared_dir / "metadata/mtg-jamendo"
    official = {
        tag
        for line in (folder / "autotagging.tsv").read_text().splitlines()[1:]
        for tag in line.split("\t")[5:]
    }
    used = {tag for row in jamendo_table("autotagging").values() for tag in row[5:]}
    assert used <= official
    in_splits = {
        tag
        for path in folder.glob("splits/split-0/autotagging-*.tsv")
        for line in path.read_text().splitlines()[1:]
        for tag in line.split("\t")[5:]
    }
    assert used - in_splits == {"genre---tribal", "mood/theme---mellow"}


def test_jamendo_holds_one_track_twice_across_train_and_test() -> None:
    def identity(file: AudioFile) -> tuple[object, ...]:
        return file.name, file.content, file.duration_s, file.encoding, file.breakage

    groups = defaultdict(list)
    for file in plan().files:
        groups[identity(file)].append(file.path)
    (pair,) = (paths for paths in groups.values() if len(paths) > 1)
    train, test = (jamendo_table(f"splits/split-0/autotagging-{p}") for p in ("train", "test"))
    assert pair[0] in {row[3] for row in train.values()}
    assert pair[1] in {row[3] for row in test.values()}


def test_rejects_stay_below_five_percent_of_the_training_part() -> None:
    assert len(plan().expected_rejects) < 0.05 * 47
