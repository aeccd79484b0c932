"""Recipes and shards with any value or byte in any place: refused with a line, or read."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from frozen_teams import build, canonical, reseal, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_corpora import Corpora

from manifests.errors import ManifestError
from pipeline.frozen.load import load_recipe, parse_recipe, read_manifest
from pipeline.frozen.untrusted import canonical_lines
from pipeline.stages.verify import verify_set


@pytest.fixture(scope="module")
def good(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    build(corpora, root / "set", "--limit", 4)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_values_in_any_place_are_refused_or_read(good: Path, data: st.DataObject) -> None:
    """Replace one value anywhere in a file of rows by any JSON value."""
    names = ("recipe.json", "plan.jsonl", "sources.jsonl", "sketches.jsonl", "tags.json")
    files = {name: (good / name).read_bytes() for name in names}
    name = data.draw(st.sampled_from(names))
    lines = files[name].splitlines() if name != "tags.json" else [files[name]]
    number = data.draw(st.integers(0, len(lines) - 1))
    value: Any = json.loads(lines[number])
    place = value
    while isinstance(place, dict | list) and place:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(json_values)
            break
        place = place[key]
    lines[number] = canonical(value).rstrip(b"\n")
    files[name] = b"\n".join(lines) + b"\n"
    try:
        parse_recipe(files, "tiny.v1")
    except ManifestError as error:
        assert str(error)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        list(canonical_lines(data, "x"))
    except ManifestError as error:
        assert str(error).startswith("x")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, double, drop or overwrite a stretch."""
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    size = rng.choice((1, 2, 16, 512, 5000))
    kind = rng.randrange(5)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[at : at + size] * 2 + data[at + size :]
    if kind == 3:
        return data[:at] + data[at + size :]
    return data[:at] + rng.randbytes(size) + data[at + size :]


def test_mutated_recipes_are_refused_or_equal(good: Path, tmp_path: Path) -> None:
    """Every file, sealed again or not; nothing but ManifestError comes out."""
    rng = random.Random(7)
    names = sorted(path.name for path in good.iterdir())
    n_refused = 0
    for number in range(150):
        recipe = Path(shutil.copytree(good, tmp_path / f"{number}.v1"))
        name = rng.choice(names)
        data = mutated((good / name).read_bytes(), rng)
        if name == "manifest-sha256.txt" or rng.random() < 0.3:
            (recipe / name).write_bytes(data)
        else:
            reseal(recipe, **{name.replace(".", "__"): data})
        try:
            load_recipe(str(recipe))
            read_manifest(str(recipe))
        except ManifestError as error:
            n_refused += 1
            assert "\n" not in str(error)
        shutil.rmtree(recipe)
    assert n_refused > 75


def test_mutated_shards_are_found(good: Path, tmp_path: Path) -> None:
    rng = random.Random(8)
    source = good.parent / "set"
    folder = Path(shutil.copytree(source, tmp_path / "set"))
    for _ in range(40):
        name = rng.choice(
            ["shard-000000.tar", "shard-000001.tar", "shard-000000.json", "index.json"]
        )
        (folder / name).write_bytes(mutated((source / name).read_bytes(), rng))
        changed = (folder / name).read_bytes() != (source / name).read_bytes()
        try:
            problems: tuple[str, ...] = verify_set(str(folder)).problems
        except ManifestError as error:
            problems = (str(error),)
        assert bool(problems) == changed
        shutil.copyfile(source / name, folder / name)
