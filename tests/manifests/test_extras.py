"""Extras: named as they can be installed, and none that does not exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import fsspec.core
import pytest

from manifests import urls
from manifests.errors import UsageError
from manifests.extras import how_to_install

ROOT = Path(__file__).parents[2]


def texts() -> dict[str, str]:
    """What people are told: code, documents and the Makefile."""
    found = [*ROOT.glob("*.md"), ROOT / "Makefile"]
    for folder in ("manifests", "pipeline", "trainer", "docs", "tests"):
        found += [path for kind in ("py", "md") for path in (ROOT / folder).rglob(f"*.{kind}")]
    return {str(path): path.read_text(encoding="utf-8") for path in found}


def test_no_text_asks_an_index_for_this_distribution() -> None:
    asks = re.compile(r"robust-tagger\[|install '?robust-tagger")
    assert [path for path, text in texts().items() if asks.search(text)] == []


def test_every_extra_that_is_named_exists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.compile(r"-e '\.\[([a-z0-9,]+)\]'|how_to_install\([\"']([a-z0-9,]+)[\"']\)")
    groups = [groups for text in texts().values() for groups in named.findall(text)]
    extras = {extra for pair in groups for extra in "".join(pair).split(",")}
    assert {"dask", "s3", "onnx"} <= extras <= project["optional-dependencies"].keys()


def test_a_url_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UsageError) as caught:
        urls.filesystem("s3://bucket/set")
    assert str(caught.value) == (
        "s3://bucket/set: Install s3fs to access S3; for s3:// install the extra: "
        "pip install -e '.[s3]' in the clone of robust-tagger"
    )
    assert str(caught.value).endswith(how_to_install("s3"))
