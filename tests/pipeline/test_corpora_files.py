"""FileTree: one listing of a local folder or an object store."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests import store
from manifests.errors import ManifestError, UsageError
from pipeline.corpora.files import FileTree, base_name, is_audio


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))


@pytest.fixture
def memory_root() -> Iterator[str]:
    file_system = fsspec.filesystem("memory")
    root = "memory://file-tree-test/corpus"
    for name in ("a/b.wav", "c.csv", ".hidden/d.wav", "a/._b.wav"):
        with file_system.open(f"/file-tree-test/corpus/{name}", "wb") as file:
            file.write(b"12345")
    yield root
    file_system.rm("/file-tree-test", recursive=True)


def test_lists_sorted_relative_paths_with_sizes(tmp_path: Path) -> None:
    put(tmp_path, "b/2.wav", "a.csv", "b/1.wav")
    tree = FileTree(tmp_path)
    assert list(tree.paths.items()) == [("a.csv", 5), ("b/1.wav", 7), ("b/2.wav", 7)]
    assert tree.exists("a.csv") and not tree.exists("b")
    assert list(tree.under("b")) == list(tree.under("b/")) == ["b/1.wav", "b/2.wav"]
    assert tree.under("") == dict(tree.paths)
    assert tree.unlisted == ()


def test_hidden_files_and_resource_forks_are_skipped(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", "._a.wav", ".DS_Store", ".cache/b.wav", "c/._d.wav")
    assert list(FileTree(tmp_path).paths) == ["a.wav"]


def test_a_loop_of_links_ends_and_no_file_is_listed_twice(tmp_path: Path) -> None:
    put(tmp_path, "a/b/1.wav")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "0-sorts-first").symlink_to(tmp_path / "a" / "b")
    tree = FileTree(tmp_path)
    assert list(tree.paths) == ["a/b/1.wav"]
    assert len(tree.unlisted) == 1 and tree.unlisted[0].startswith("a/self: ")


def test_linked_folders_and_files_elsewhere_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "disk/x/1.wav", "corpus/2.wav")
    (tmp_path / "corpus" / "audio").symlink_to(tmp_path / "disk")
    (tmp_path / "corpus" / "3.wav").symlink_to(tmp_path / "disk" / "x" / "1.wav")
    (tmp_path / "corpus" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    tree = FileTree(tmp_path / "corpus")
    assert dict(tree.paths) == {"2.wav": 12, "3.wav": 12, "audio/x/1.wav": 12}
    assert tree.unlisted == ("gone.wav: dangling link",)


def test_what_is_neither_file_nor_folder_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    tree = FileTree(tmp_path)
    assert not tree.paths
    assert tree.unlisted == tuple(
        f"{name}.wav: expected a file or a folder, got a pipe or a device" for name in "ab"
    )


def test_a_name_that_is_not_utf8_is_reported_not_listed(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    tree = FileTree(tmp_path)
    assert not tree.paths
    assert tree.unlisted == (r"'caf\udce9.wav': name is not UTF-8; rename it",)


def test_memory_url_lists_like_a_folder(memory_root: str) -> None:
    tree = FileTree(memory_root)
    assert dict(tree.paths) == {"a/b.wav": 5, "c.csv": 5}
    assert tree.url("a/b.wav") == f"{memory_root}/a/b.wav"
    with tree.open_binary("a/b.wav") as file:
        assert file.read() == b"12345"
    assert tree.read_text("c.csv") == "12345"


def test_names_that_are_no_paths_are_reported_not_listed(memory_root: str) -> None:
    """An object's key is any text; one that cannot be opened must not end the scan of the rest."""
    content = fsspec.filesystem("memory").store
    for name in ("a/x::y.wav", "a//double.wav", "/first.wav", "a/../up.wav", "a/[1] #%?.wav"):
        content[f"/file-tree-test/corpus/{name}"] = content["/file-tree-test/corpus/c.csv"]
    tree = FileTree(memory_root)
    assert list(tree.paths) == ["a/[1] #%?.wav", "a/b.wav", "c.csv"]
    assert tree.unlisted == tuple(
        f"{name}: name holds '//', '..' or '::'; rename it"
        for name in ("/first.wav", "a/../up.wav", "a//double.wav", "a/x::y.wav")
    )


def test_stamps_are_those_of_the_files(tmp_path: Path, memory_root: str) -> None:
    put(tmp_path, "a/b.wav", "c.csv")
    for root in (str(tmp_path), tmp_path.as_uri(), memory_root):
        tree = FileTree(root)
        for path in ("a/b.wav", "c.csv"):
            assert tree.stamp(path) == store.change_stamp(tree.url(path)) != ("", "")
        with pytest.raises(ManifestError, match="expected a file below"):
            tree.stamp("none.wav")


def test_file_url_and_plain_path_agree(tmp_path: Path) -> None:
    put(tmp_path, "a b/1.wav")
    url = (tmp_path / "a b").as_uri()
    assert dict(FileTree(url).paths) == dict(FileTree(tmp_path / "a b").paths)
    assert FileTree(url).url("1.wav") == str(tmp_path / "a b" / "1.wav")


@pytest.mark.parametrize("root", ["memory://file-tree-test/none", "/nonexistent/corpus"])
def test_missing_root_is_named(root: str) -> None:
    with pytest.raises(ManifestError, match=f"^{root}: expected a folder, got nothing there"):
        FileTree(root)


def test_a_root_that_cannot_be_reached_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As below a folder that cannot be entered; the tests may run as root, who enters all."""

    def refuse(self: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(ManifestError) as caught:
        FileTree(tmp_path / "music")
    assert str(caught.value) == (
        f"{tmp_path}/music: expected a folder, got Permission denied; check the path"
    )


def test_a_file_as_root_is_refused(tmp_path: Path, memory_root: str) -> None:
    put(tmp_path, "a.csv")
    with pytest.raises(ManifestError, match=r"a\.csv: expected a folder, got a file"):
        FileTree(tmp_path / "a.csv")
    with pytest.raises(ManifestError, match=r"c\.csv: expected a folder, got a file"):
        FileTree(f"{memory_root}/c.csv")


@pytest.mark.parametrize("root", ["pipe:cat /etc/passwd", "nosuch://bucket/x"])
def test_refused_or_unknown_schemes(root: str) -> None:
    with pytest.raises(UsageError):
        FileTree(root)


@pytest.mark.parametrize("rel", ["../secret.txt", "/etc/passwd", "none.wav"])
def test_paths_outside_the_listing_are_not_opened(tmp_path: Path, rel: str) -> None:
    put(tmp_path, "secret.txt", "corpus/a.wav")
    tree = FileTree(tmp_path / "corpus")
    with pytest.raises(ManifestError, match="expected a file below"):
        tree.open_binary(rel)
    with pytest.raises(ManifestError, match="expected a file below"):
        tree.open_text(rel)


def test_text_keeps_line_ends_and_loses_the_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"\xef\xbb\xbfa\tb\r\n")
    assert FileTree(tmp_path).read_text("a.tsv") == "a\tb\r\n"


def test_text_that_is_not_utf8_is_an_error_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"caf\xe9")
    with pytest.raises(ManifestError, match=r"a\.tsv: expected UTF-8 text, got byte 0xe9 at .* 3"):
        FileTree(tmp_path).read_text("a.tsv")


def test_audio_by_extension_in_any_case() -> None:
    assert is_audio("a/B.WAV") and is_audio("x.low.mp3")
    assert not is_audio("a.csv") and not is_audio("wav")
    assert base_name("a/b/c.wav") == "c.wav" and base_name("c.wav") == "c.wav"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.sets(
        st.lists(st.text("ab0-", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join),
        max_size=8,
    )
)
def test_listing_equals_pathlib(names: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """An independent walk, Path.rglob, finds the same."""
    root = tmp_path_factory.mktemp("tree")
    for name in names:
        put(root, f"{name}.wav")
    found = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    assert list(FileTree(root).paths) == found
