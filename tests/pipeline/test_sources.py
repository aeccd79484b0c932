"""What the command line names: corpora, folders, files by content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from manifests.errors import UsageError
from pipeline.sources import (
    absolute_url,
    corpus_defaults,
    identity_options,
    make_sources,
    named_by_content,
    parse_named,
)


def test_names_and_folders() -> None:
    named = parse_named(["mtat=/a", "folder=/b=c d"], "--music")
    assert named == {"mtat": "/a", "folder": "/b=c d"}
    assert parse_named([], "--music") == {}


@pytest.mark.parametrize("value", ["", "mtat", "=x", "mtat=", "/data/mtat"])
def test_what_is_no_name_and_folder(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_named([value], "--noise")
    assert str(caught.value) == f"--noise: expected NAME=DIR, e.g. mtat=/data/mtat, got {value!r}"


def test_local_paths_become_absolute_and_urls_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert absolute_url("a/b") == f"{tmp_path}/a/b"
    assert absolute_url("./a/../b/") == f"{tmp_path}/a/../b"
    assert absolute_url("~/a") == "/home/me/a"
    assert absolute_url("/x/~/a") == "/x/~/a"
    assert absolute_url("~nobody-of-that-name/a") == f"{tmp_path}/~nobody-of-that-name/a"
    for url in ("s3://bucket/a", "memory://a", Path("/a b").as_uri(), "pipe:cat"):
        assert absolute_url(url) == url


def test_sources(tmp_path: Path) -> None:
    sources = make_sources([f"folder={tmp_path}"], ["none"], corpus_options={"folder_split": "any"})
    assert sources.roots == {"music": {"folder": str(tmp_path)}, "noise": {}}
    assert sources.corpus_options == {"folder_split": "any"}


@pytest.mark.parametrize(
    ("music", "noise", "message"),
    [
        ([], ["none"], "--music: expected NAME=DIR, e.g. mtat=/data/mtat, got nothing"),
        (["folder=/"], [], "--noise: expected NAME=DIR or none, got nothing"),
        (["folder=/nowhere"], ["none"], "--music folder=/nowhere: no such folder"),
        (["folder=pipe:cat /etc/passwd"], ["none"], "pipe:cat /etc/passwd: refused; expected a"),
        (["folder=simplecache::s3://x"], ["none"], "simplecache::s3://x: refused; expected a"),
        (["foldr=/"], ["none"], "foldr: expected a corpus, one of mtat, mtg-jamendo, audioset"),
    ],
)
def test_sources_that_are_none(music: list[str], noise: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_sources(music, noise)
    assert str(caught.value).startswith(message)


def test_files_are_named_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("Speech\n")
    digest = "sha256:" + hashlib.sha256(b"Speech\n").hexdigest()
    assert named_by_content(str(path)) == digest
    assert named_by_content("/gone/labels.txt") == "labels.txt"
    options = {"audioset_drop_labels_file": str(path), "audioset_drop_label": ("a", "b")}
    assert identity_options({**options, "folder_csv": None}) == {
        "audioset_drop_labels_file": digest,
        "audioset_drop_label": ["a", "b"],
        "folder_csv": None,
    }


def test_what_can_be_read_once_alone_is_refused(tmp_path: Path) -> None:
    """``--tags <(echo rock)``: hashed first, it would be empty where the tags are read."""
    os.mkfifo(tmp_path / "tags")
    for path, kind in ((tmp_path / "tags", "a pipe"), (Path("/dev/null"), "a device")):
        with pytest.raises(UsageError) as caught:
            named_by_content(str(path))
        assert str(caught.value) == (
            f"{path}: expected a file, got {kind}; write it to a file first"
        )


def test_defaults_of_a_corpus() -> None:
    assert corpus_defaults("mtat") == {"mtat_untagged": "keep"}
    assert corpus_defaults("folder") == {"folder_csv": None, "folder_split": "any"}
