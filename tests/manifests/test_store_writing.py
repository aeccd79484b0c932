"""A name holds all of its bytes or does not exist, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from manifests import store
from manifests.errors import ManifestError

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["local", "file-url", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder that does not exist yet, in each kind of place."""
    if request.param == "memory":
        yield "memory://store-writing-test/a"
        store.remove("memory://store-writing-test")
    else:
        path = tmp_path / "a b#c%20"
        yield str(path) if request.param == "local" else path.as_uri()


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_nothing(folder: str, kind: type[BaseException]) -> None:
    url = store.join(folder, "x.tar")
    with pytest.raises(kind), store.partial_file(url) as path:
        path.write_bytes(b"half of it")
        raise kind
    assert not store.exists(url)
    assert store.list_names(folder) == []
    assert not path.exists()


def test_an_error_while_writing_leaves_what_was_there(folder: str) -> None:
    url = store.join(folder, "x")
    store.write_bytes(url, b"old")
    with pytest.raises(RuntimeError), store.partial_file(url) as path:
        path.write_bytes(b"new")
        raise RuntimeError
    assert store.read_bytes(url) == b"old"
    assert store.list_names(folder) == ["x"]


def test_nothing_has_the_name_before_all_is_written(folder: str) -> None:
    url = store.join(folder, "x")
    with store.partial_file(url) as path:
        path.write_bytes(b"whole")
        assert not store.exists(url)
    assert store.read_bytes(url) == b"whole"
    assert not path.exists()


def test_a_full_disk_is_named(folder: str) -> None:
    url = store.join(folder, "x.tar")
    with (
        pytest.raises(ManifestError, match=r"x.tar: cannot be written: No space left on device$"),
        store.partial_file(url) as path,
    ):
        path.write_bytes(b"some")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not store.exists(url)
    assert store.list_names(folder) == []


def test_a_file_over_the_limit_of_the_system_is_named(tmp_path: Path) -> None:
    """The real thing: a process that may write 4 kB only, as on a full disk."""
    code = (
        "import resource, signal, sys\n"
        "from manifests import store\n"
        "from manifests.errors import ManifestError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    store.write_bytes(sys.argv[1], bytes(100_000))\n"
        "except ManifestError as error:\n"
        "    print(error)\n"
    )
    url = str(tmp_path / "x.tar")
    done = subprocess.run(
        [sys.executable, "-c", code, url], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{url}: cannot be written: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ManifestError, match="x: cannot be written: No such file"),
        store.partial_file(str(tmp_path / "x")),
    ):
        pass


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    for name in (".shard-000000.tar.123.partial", "shard-000000.tar", ".hidden", "a.partial"):
        (tmp_path / name).write_bytes(b"x")
    store.remove_partials(str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".hidden",
        "a.partial",
        "shard-000000.tar",
    ]
    store.remove_partials(str(tmp_path / "nowhere"))
    store.remove_partials("memory://nowhere")


def test_files_are_synced_before_they_get_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        seen.append("folder" if os.fstat(descriptor).st_mode & 0o040000 else "file")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        seen.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    store.write_bytes(str(tmp_path / "x"), b"x")
    assert seen == ["file", "rename", "folder"]


def test_a_link_stays_one_and_leads_to_the_new_bytes(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, target in (("old", "there/x"), ("dangling", "there/new"), ("twice", "old")):
        link = tmp_path / name
        link.symlink_to(target)
        store.write_bytes(str(link), name.encode())
        assert link.is_symlink() and link.read_bytes() == name.encode()
    assert sorted(p.name for p in (tmp_path / "there").iterdir()) == ["new", "x"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ManifestError, match="loop: cannot be written: Too many levels of symbolic"):
        store.write_bytes(str(tmp_path / "loop"), b"x")


def test_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for name in (pipe, link):
        with ThreadPoolExecutor(1) as pool:
            read = pool.submit(pipe.read_bytes)
            store.write_bytes(str(name), b"whole")
            assert read.result(timeout=10) == b"whole"
        assert pipe.is_fifo() and link.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", [".", "sub", "sub/.."])
def test_a_folder_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with pytest.raises(ManifestError, match="cannot be written: Is a directory"):
        store.write_bytes(name, b"x")
    assert list(tmp_path.iterdir()) == [tmp_path / "sub"]
