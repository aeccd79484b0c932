"""Files by path or URL: written whole or not at all, and only where they may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import store
from manifests.errors import ManifestError, UsageError

MEMORY = "memory://store-test"


@pytest.fixture(params=["local", "file-url", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder that does not exist yet, in each kind of place."""
    if request.param == "memory":
        yield f"{MEMORY}/a/b"
        store.remove(MEMORY)
    else:
        path = tmp_path / "a b#c%20"
        yield str(path) if request.param == "local" else path.as_uri()


def test_what_is_written_is_there(folder: str) -> None:
    url = store.join(folder, "deep", "x.bin")
    assert not store.exists(url)
    assert store.size_bytes(url) is None
    assert store.change_stamp(url) == ("", "")
    store.write_bytes(url, b"abc")
    assert store.exists(url) and store.exists(folder)
    assert (store.read_bytes(url), store.size_bytes(url)) == (b"abc", 3)
    store.write_text(url, "ü\n")
    assert (store.read_text(url), store.size_bytes(url)) == ("ü\n", 3)
    with store.open_read(url) as file:
        file.seek(2)
        assert file.read() == b"\n"


def test_the_start_of_a_file(folder: str) -> None:
    url = store.join(folder, "a.bin")
    assert store.read_start(url, 2) is None
    store.write_bytes(url, b"abc")
    assert [store.read_start(url, n) for n in (2, 3, 9)] == [b"ab", b"abc", b"abc"]


def test_names_of_a_folder_are_files_in_order(folder: str) -> None:
    assert store.list_names(folder) == []
    for name in ("b", "a", ".c", "sub/d"):
        store.write_bytes(store.join(folder, name), b"")
    assert store.list_names(folder) == [".c", "a", "b"]


def test_removal_of_files_and_folders(folder: str) -> None:
    one, two = store.join(folder, "one"), store.join(folder, "sub", "two")
    for url in (one, two):
        store.write_bytes(url, b"x")
    store.remove(one)
    assert not store.exists(one) and store.exists(two)
    store.remove(folder)
    assert not store.exists(two)
    store.remove(folder)  # nothing there: nothing happens


@pytest.mark.parametrize("name", ["run[1]", "run*", "run?", "r[u]n1"])
def test_a_name_is_no_pattern_for_others_when_it_is_removed(folder: str, name: str) -> None:
    """``rm`` of fsspec would take ``run[1]`` for ``run1``."""
    other = store.join(folder, "run1", "index.json")
    ours = [store.join(folder, name, rel) for rel in ("index.json", "sub/a", "sub/deep/[b]")]
    store.remove(store.join(folder, name))
    for url in (other, *ours):
        store.write_bytes(url, b"x")
    store.remove(ours[0])
    assert not store.exists(ours[0]) and store.exists(ours[1]) and store.exists(other)
    store.remove(store.join(folder, name))
    assert not any(store.exists(url) for url in (*ours, store.join(folder, name)))
    assert store.exists(other)


def test_the_stamp_changes_with_the_file(folder: str) -> None:
    url = store.join(folder, "x")
    store.write_bytes(url, b"abc")
    first = store.change_stamp(url)
    assert first[0] == "3" and first[1]
    assert store.change_stamp(url) == first
    store.write_bytes(url, b"abd")
    assert store.change_stamp(url) != first


def test_what_is_missing_is_named(folder: str) -> None:
    url = store.join(folder, "none")
    for read in (store.read_bytes, store.read_text, store.open_read):
        with pytest.raises(ManifestError, match="none: cannot be read: "):
            read(url)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"caf\xe9")
    with pytest.raises(ManifestError, match=r"a.csv: expected UTF-8 text: "):
        store.read_text(str(tmp_path / "a.csv"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        store.read_bytes(str(tmp_path))
    assert store.size_bytes(str(tmp_path)) is None
    assert store.exists(str(tmp_path))


REFUSED = [
    "pipe:cat /etc/passwd",
    "PIPE://x",
    "ssh://host/x",
    "sftp://host/x",
    "simplecache::s3://bucket/x",
    "simplecache://x",
    "filecache::https://host/x",
    "cached://x",
    "zip://a.wav::file://localhost/x.zip",
    "data://text/plain,x",
    "nosuch://x",
    "file://folder/x",
    "file://localhost/a?b",
]


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize(
    "act",
    [
        store.exists,
        store.size_bytes,
        store.change_stamp,
        store.read_bytes,
        store.list_names,
        store.remove,
        lambda url: store.write_bytes(url, b""),
    ],
)
def test_refused_urls_are_refused_by_everything(url: str, act: Callable[[str], object]) -> None:
    with pytest.raises(UsageError):
        act(url)


def test_a_plain_path_with_colons_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a::b" / "c:d"
    store.write_bytes(str(path), b"x")
    assert path.read_bytes() == b"x"
    store.remove(str(path.parent))
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..", "s3/../.."])
@pytest.mark.parametrize(
    "root", ["/data", "memory://data", "file://localhost/data", "s3://bucket/data"]
)
def test_names_that_lead_out_of_a_folder_are_refused(root: str, name: str) -> None:
    with pytest.raises(ManifestError, match=f"^{name}: expected a path below {root}, got one"):
        store.join(root, name)


def test_join() -> None:
    assert store.join("s3://bucket/a") == "s3://bucket/a"
    assert store.join("s3://bucket/a/", "b", "c d#%.wav") == "s3://bucket/a/b/c d#%.wav"
    assert store.join("/a", "..b", "c..") == "/a/..b/c.."


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1))
@settings(deadline=None)
def test_any_name_below_a_file_url_is_that_name(name: str) -> None:
    if name not in (".", ".."):
        assert store.local_path(store.join("file://localhost/a", name)) == Path("/a") / name


class NoCredentialsError(Exception):
    """What a cloud library raises: no OSError."""


@pytest.mark.parametrize(
    ("method", "act", "what"),
    [
        ("exists", store.exists, "cannot be looked up"),
        ("info", store.size_bytes, "cannot be looked up"),
        ("info", store.change_stamp, "cannot be looked up"),
        ("open", store.read_bytes, "cannot be read"),
        ("ls", store.list_names, "cannot be listed"),
        ("rm", store.remove, "cannot be removed"),
        ("put_file", lambda url: store.write_bytes(url, b"x"), "cannot be written"),
    ],
)
def test_errors_of_a_remote_system_are_one_line(
    monkeypatch: pytest.MonkeyPatch, method: str, act: Callable[[str], object], what: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), method, fail)
    url = f"{MEMORY}/x"
    with pytest.raises(ManifestError) as caught:
        act(url)
    assert str(caught.value) == f"{url}: {what}: NoCredentialsError: Unable to locate credentials"


def test_names_too_long_for_the_disk_are_an_error_of_one_line(tmp_path: Path) -> None:
    url = str(tmp_path / ("x" * 300))
    for act in (store.exists, store.size_bytes, store.change_stamp, store.read_bytes):
        with pytest.raises(ManifestError, match="File name too long"):
            act(url)
