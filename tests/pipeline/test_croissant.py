"""Croissant metadata, read by its own library: sets, recipes and thawed sets validate and load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from frozen_teams import build, roots, rows, run
from plain_reader import read_set
from tiny_corpora import Corpora

mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant (pip install it)")

pytestmark = [  # of rdflib, and of pandas 3 in mlcroissant's reader
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def team(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("croissant")
    build(corpora, root / "set", "--noises", 2)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    run("thaw", root / "tiny.v1", *roots(corpora), "--out", root / "thawed", "--jobs", 1)
    return root


def opened(folder: Path) -> Any:
    dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    return dataset


def column(dataset: Any, records: str, name: str) -> Iterator[Any]:
    for record in dataset.records(records):
        value = record[f"{records}/{name}"]
        yield value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("name", ["set", "thawed"])
def test_a_set_validates_and_its_examples_load(team: Path, name: str) -> None:
    dataset = opened(team / name)
    examples = {example.key: example.record for example in read_set(team / name)}
    keys = list(column(dataset, "examples", "key"))
    assert keys == list(examples) and len(keys) == 12
    for field in ("clip_id", "song", "artist", "licence", "start_s"):
        assert list(column(dataset, "examples", field)) == [
            record["music"][field] for record in examples.values()
        ]
    gains = list(column(dataset, "examples", "gain_db"))
    assert gains == pytest.approx([record["gain_db"] for record in examples.values()])
    offsets = list(column(dataset, "examples", "offset"))
    shards = list(column(dataset, "examples", "shard"))
    for key, shard, offset in zip(keys, shards, offsets, strict=True):
        data = (team / name / f"shard-{shard:06d}.tar").read_bytes()
        assert data[offset:].startswith(key.encode()), "a tar header begins with the member's name"


def test_a_recipe_validates_and_its_rows_load(team: Path) -> None:
    dataset = opened(team / "tiny.v1")
    assert list(column(dataset, "examples", "key")) == [r["key"] for r in rows(team / "tiny.v1")]
    lines = (team / "tiny.v1/sources.jsonl").read_text().splitlines()
    assert len(list(column(dataset, "sources", "sha256"))) == len(lines)
