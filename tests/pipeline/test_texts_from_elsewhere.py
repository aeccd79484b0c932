"""Names in sets and recipes of others: none of them writes on the terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from frozen_teams import build, restate, rows, run
from tampering import fix_hashes
from tiny_corpora import Corpora

from manifests.errors import ManifestError
from pipeline.frozen.frozen_config import frozen_config

EVIL = "\x1b[2J\x1b]0;owned\x07\n<b>"


@pytest.fixture(scope="module")
def team(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("elsewhere")
    build(corpora, root / "set", "--limit", 2)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root


@pytest.fixture
def evil(team: Path, tmp_path: Path) -> Path:
    """A set with escapes in its name, its options, their names and its tools."""
    out = Path(shutil.copytree(team / "set", tmp_path / "evil"))
    index = json.loads((out / "index.json").read_text())
    index["name"] = f"name{EVIL}"
    index["config"] |= {"split": f"split{EVIL}", f"option{EVIL}": 1}
    index["tools"] |= {f"tool{EVIL}": f"version{EVIL}"}
    (out / "index.json").write_text(json.dumps(index))
    fix_hashes(out)
    return out


def clean(output: str) -> None:
    assert "\x1b" not in output and "\x07" not in output and "\n<b>" not in output


def test_explain_diff_verify_and_report(team: Path, evil: Path, tmp_path: Path) -> None:
    key = rows(team / "tiny.v1")[0]["key"]
    said = run("explain", evil, key).output
    assert "split split" in said
    clean(said)
    said = run("diff", team / "set", evil, code=1).output
    assert "option option" in said and "tool tool" in said and "-> name" in said
    clean(said)
    with (evil / "tags.json").open("ab") as file:
        file.write(b" ")
    (evil / "recipe.json").write_text(json.dumps({EVIL: 1}))
    said = run("verify", evil, "--jobs", 1, code=1).output
    assert "tags.json: expected" in said and "recipe.json" in said and "name" in said
    clean(said)
    clean(run("report", evil, "-o", tmp_path / "page.html", "--jobs", 1).output)


def test_a_split_that_is_none_is_refused(team: Path, tmp_path: Path) -> None:
    recipe = Path(shutil.copytree(team / "tiny.v1", tmp_path / "tiny.v1"))
    config = json.loads((recipe / "recipe.json").read_text())["config"]
    restate(recipe, rows(recipe), config=config | {"split": EVIL})
    said = run("thaw", recipe, "--out", tmp_path / "out", code=1).output
    assert "recipe.json: config: split: expected train, valid, test, all, got" in said
    clean(said)
    for split in ("train", "valid", "test", "all"):
        assert frozen_config(config | {"split": split}, "x").split == split
    with pytest.raises(ManifestError, match="split"):
        frozen_config(config | {"split": "any"}, "x")
