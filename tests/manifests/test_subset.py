"""Subsets of a frozen set: one id and one file whatever the order, and nothing hostile."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from manifests.errors import ManifestError
from manifests.subset import Subset, load_subset, make_subset, write_subset

RECIPE = "ab" * 32


def test_equal_subsets_are_equal_files_whose_id_any_tool_can_compute(tmp_path: Path) -> None:
    for number, keys in enumerate((("b", "a"), ("a", "b"))):
        write_subset(str(tmp_path / f"{number}.json"), make_subset(RECIPE, "identical", keys))
    data = (tmp_path / "0.json").read_bytes()
    assert data == (tmp_path / "1.json").read_bytes()
    assert data == f'{{"accept":"identical","keys":["a","b"],"recipe_id":"{RECIPE}"}}\n'.encode()
    loaded = load_subset(str(tmp_path / "0.json"))
    assert loaded == Subset(RECIPE, "identical", ("a", "b"))
    assert loaded.subset_id == hashlib.sha256(data.rstrip(b"\n")).hexdigest()


def test_the_id_is_that_of_the_content_in_any_order(tmp_path: Path) -> None:
    subset = Subset(RECIPE, "identical", ("b", "a"))
    (tmp_path / "x.json").write_text(
        json.dumps({"keys": ["b", "a"], "recipe_id": RECIPE, "accept": "identical"}, indent=1)
    )
    assert load_subset(str(tmp_path / "x.json")).subset_id == subset.subset_id
    others = [
        Subset("cd" * 32, "identical", ("a", "b")),
        Subset(RECIPE, "1lsb", ("a", "b")),
        Subset(RECIPE, "identical", ("a",)),
    ]
    assert len({subset.subset_id, *(other.subset_id for other in others)}) == 4


def test_a_subset_belongs_to_one_recipe() -> None:
    subset = Subset(RECIPE, "identical", ("a",))
    subset.check_recipe(RECIPE, "ours")
    with pytest.raises(
        ManifestError, match=r"^ours: expected recipe abababababab…, as the subset, got cdcdcd"
    ):
        subset.check_recipe("cd" * 32, "ours")
    with pytest.raises(ManifestError, match=r"got a set without a recipe; use the subset of this"):
        subset.check_recipe(None, "ours")


def test_nothing_in_common_is_no_subset() -> None:
    with pytest.raises(ManifestError, match="expected at least one example in common, got none"):
        make_subset(RECIPE, "identical", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected JSON"),
        ("[]", r"expected dict, got \[\]"),
        ("{", "expected JSON"),
        ('{"recipe_id": 1, "accept": "identical", "keys": ["a"]}', "recipe_id: expected str"),
        ('{"recipe_id": "a", "accept": "identical"}', "expected fields"),
        ('{"recipe_id": "a", "accept": "identical", "keys": []}', "expected at least one key"),
        ('{"recipe_id": "a", "accept": "identical", "keys": ["x", "x"]}', "2 of which 1 differ"),
        ('{"recipe_id": "a", "accept": "identical", "keys": ["../x"]}', r"key '\.\./x'"),
        ('{"recipe_id": "a", "accept": "identical", "keys": [1]}', "keys: expected str"),
        ('{"recipe_id": "a", "accept": "differs", "keys": ["x"]}', "identical or 1lsb, got 'diff"),
    ],
)
def test_hostile_subset_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.subset.json"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message):
        load_subset(str(path))


def test_a_huge_subset_file_is_not_read_and_none_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_subset(str(tmp_path / "x.json"), make_subset(RECIPE, "identical", ["a"]))
    monkeypatch.setattr("manifests.subset.MAX_BYTES", 10)
    with pytest.raises(ManifestError, match="expected at most 10 bytes"):
        load_subset(str(tmp_path / "x.json"))
    with pytest.raises(ManifestError, match=r"gone: expected a subset file, found none; prep thaw"):
        load_subset(str(tmp_path / "gone"))
