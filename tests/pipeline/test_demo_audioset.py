"""Demo AudioSet against the official layout and formats; nothing is rendered."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from pipeline.demo.audioset import plan_audioset
from pipeline.demo.plans import CorpusPlan, MusicContent

SEEDS = (0, 1, 7)


@cache
def plan(seed: int = 0) -> CorpusPlan:
    return plan_audioset(seed)


def rows(text: str, delimiter: str = "\t") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def segments(name: str, seed: int = 0) -> dict[str, tuple[float, float, list[str]]]:
    lines = plan(seed).texts[f"{name}_segments.csv"].splitlines()
    assert [line.startswith("#") for line in lines[:4]] == [True, True, True, False]
    assert lines[2] == "# YTID, start_seconds, end_seconds, positive_labels"
    form = re.compile(r'([\w-]{11}), (\d+\.\d{3}), (\d+\.\d{3}), "([^"]+)"')
    found = {}
    for line in lines[3:]:
        match = form.fullmatch(line)
        assert match
        found[match[1]] = float(match[2]), float(match[3]), match[4].split(",")
    assert f"num_ytids={len(found)}, num_segs={len(found)}" in lines[1]
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_audioset_segments_name_their_files(seed: int) -> None:
    train, evaluation = segments("balanced_train", seed), segments("eval", seed)
    assert not train.keys() & evaluation.keys()
    ids = [*train, *evaluation]
    assert len({name.lower() for name in ids}) == len(ids) == 88
    assert sum(name.startswith("-") for name in ids) >= 4
    seen = Counter()
    for file in plan(seed).files:
        folder, name = file.path.split("/")
        if folder == "balanced_train_segments":
            match = re.fullmatch(r"Y([\w-]{11})\.wav", name)
            assert match
            start, stop, _ = train[match[1]]
        else:
            match = re.fullmatch(r"([\w-]{11})_(\d+\.000)_(\d+\.\d00)\.flac", name)
            assert match
            start, stop, _ = evaluation[match[1]]
            assert (float(match[2]), float(match[3])) == (start, stop)
        assert stop - start == pytest.approx(file.duration_s)
        seen[folder] += 1
    assert set(seen.values()) == {42}
    encodings = {file.encoding for file in plan(seed).files}
    assert {encoding.sample_rate for encoding in encodings} == {16_000, 32_000, 44_100, 48_000}
    assert {encoding.coding for encoding in encodings} == {"PCM_16", "PCM_24"}
    assert {encoding.channels for encoding in encodings} == {1, 2}


def descendants(children: dict[str, list[str]], root: str) -> set[str]:
    found, todo = set(), [root]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += children[node]
    return found


def test_audioset_labels_tell_music_from_noise() -> None:
    ontology = {node["id"]: node for node in json.loads(plan().texts["ontology.json"])}
    children = {mid: node["child_ids"] for mid, node in ontology.items()}
    assert {mid for below in children.values() for mid in below} <= set(ontology)
    parents = Counter(mid for below in children.values() for mid in below)
    assert max(parents.values()) == 2
    musical = descendants(children, "/m/04rlf") | descendants(children, "/m/015lz1")
    indices = rows(plan().texts["class_labels_indices.csv"], ",")
    assert indices[0] == ["index", "mid", "display_name"]
    assert [row[0] for row in indices[1:]] == [str(i) for i in range(len(indices) - 1)]
    labels = {row[1] for row in indices[1:]}
    listed = {**segments("balanced_train"), **segments("eval")}
    assert {mid for _, _, mids in listed.values() for mid in mids} <= labels
    n_music = 0
    for file in plan().files:
        video_id = re.search(r"/Y?([\w-]{11})[._]", file.path)
        assert video_id
        has_label = bool(musical.intersection(listed[video_id[1]][2]))
        assert has_label == isinstance(file.content, MusicContent)
        n_music += has_label
    assert n_music == 10


def test_audioset_classes_are_official(shared_dir: Path) -> None:
    folder = shared_dir / "metadata/audioset"
    official = {node["id"]: node for node in json.loads((folder / "ontology.json").read_text())}
    mine = json.loads(plan().texts["ontology.json"])
    kept = {node["id"] for node in mine}
    for node in mine:
        true = official[node["id"]]
        assert node.keys() == true.keys()
        assert (node["name"], node["restrictions"]) == (true["name"], true["restrictions"])
        assert set(node["child_ids"]) == kept.intersection(true["child_ids"])
    names = {row[1]: row[2] for row in rows((folder / "class_labels_indices.csv").read_text(), ",")}
    for _, mid, name in rows(plan().texts["class_labels_indices.csv"], ",")[1:]:
        assert names[mid] == name
