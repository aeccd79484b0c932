"""``verify`` reads the ``recipe.json`` of frozen and thawed sets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from frozen_teams import build, run, thaw
from tampering import problems
from tiny_corpora import Corpora


@pytest.fixture(scope="module")
def team(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("marked")
    build(corpora, root / "set", "--limit", 4)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    run("freeze", root / "set", "-o", root / "audio.v1", "--with-audio", "--force", "--jobs", 1)
    thaw(root / "tiny.v1", corpora, root / "thawed")
    return root


@pytest.mark.parametrize("name", ["set", "audio.v1", "thawed"])
def test_a_marker_as_it_was_written(team: Path, name: str) -> None:
    assert problems(team / name) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("recipe_id", "0" * 64), ("n_examples", 12), ("accept", "1lsb"), ("subset_id", "0" * 64)],
)
def test_an_edited_marker_is_named(team: Path, tmp_path: Path, field: str, value: object) -> None:
    copy = Path(shutil.copytree(team / "set", tmp_path / "set"))
    record = json.loads((copy / "recipe.json").read_text())
    (copy / "recipe.json").write_text(json.dumps(record | {field: value}))
    (found,) = problems(copy)
    assert found.startswith(f"recipe.json: expected recipe id {record['recipe_id'][:12]}… and all")
    run("verify", copy, "--jobs", 1, "--files-only", code=1)


def test_a_marker_that_claims_to_be_thawed(team: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(team / "set", tmp_path / "set"))
    record = json.loads((copy / "recipe.json").read_text())
    record |= {"recipe_id": "0" * 64, "request_sha256": "0" * 64}
    (copy / "recipe.json").write_text(json.dumps(record))
    assert problems(copy) == ["recipe.json: of a thawed set, but not in its manifest"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipe_id":"x"}', "\udcff"])
def test_a_malformed_marker_is_named(team: Path, tmp_path: Path, text: str) -> None:
    copy = Path(shutil.copytree(team / "set", tmp_path / "set"))
    (copy / "recipe.json").write_bytes(text.encode(errors="surrogateescape"))
    (found,) = problems(copy)
    assert "recipe.json" in found


def test_a_marker_that_is_endless_or_a_link(team: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(team / "set", tmp_path / "set"))
    (copy / "recipe.json").rename(tmp_path / "elsewhere")
    (copy / "recipe.json").symlink_to(tmp_path / "elsewhere")  # as caches of downloads hold them
    assert problems(copy) == []
    with (tmp_path / "elsewhere").open("ab") as file:
        file.truncate(5 << 20)
    assert problems(copy) == ["recipe.json: expected at most 4,194,304 bytes, got 5,242,880"]
