"""Archives of embeddings: any name, through pipes and links, and never half a file."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests.errors import ManifestError
from trainer.audio_files import write_arrays


def test_archives_hold_any_name(tmp_path: Path) -> None:
    names = ["file", "a/b.wav", "/abs.wav", "x y", "ä"]
    arrays = {name: np.arange(3, dtype=np.float32) + i for i, name in enumerate(names)}
    assert write_arrays(tmp_path / "e.npz", iter(arrays.items())) == len(arrays)
    with np.load(tmp_path / "e.npz", allow_pickle=False) as found:
        assert set(found) == set(names)
        for name in names:
            np.testing.assert_array_equal(found[name], arrays[name])
    assert write_arrays(tmp_path / "sub" / "none.npz", iter(())) == 0
    assert [p.name for p in tmp_path.rglob("*")] == ["e.npz", "sub"], "no file without arrays"


def test_an_archive_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        raise AssertionError("asked for an array")
        yield

    with pytest.raises(ManifestError, match=r"file/e\.npz: cannot be written"):
        write_arrays(tmp_path / "file" / "e.npz", arrays())


def test_a_pipe_stays_one_and_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened twice, its reader may be gone before the second time, which then waits for ever."""
    pipe, read, opened = tmp_path / "pipe", list[bytes](), list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    real = io.open

    def spy(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        if str(file) == str(pipe) and "r" not in mode:
            opened.append(mode)
        return real(file, mode, *more, **named)

    monkeypatch.setattr(io, "open", spy)
    assert write_arrays(pipe, [("a", np.ones(3, np.float32))]) == 1
    reader.join(timeout=30)
    assert opened == ["wb"] and pipe.is_fifo()
    with np.load(io.BytesIO(read[0]), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["a"], np.ones(3))
    assert list(tmp_path.iterdir()) == [pipe]


def test_an_open_pipe_by_its_number(tmp_path: Path) -> None:
    """What a shell gives for ``>(…)``: a link to a name that is not there."""
    read, write = os.pipe()
    assert write_arrays(Path(f"/dev/fd/{write}"), [("a", np.ones(3, np.float32))]) == 1
    os.close(write)
    with os.fdopen(read, "rb") as pipe, np.load(io.BytesIO(pipe.read())) as found:
        np.testing.assert_array_equal(found["a"], np.ones(3))


def test_a_link_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "link.npz", tmp_path / "target.npz"
    link.symlink_to(target)
    write_arrays(link, [("a", np.ones(3, np.float32))])
    assert link.is_symlink() and target.is_file()
    assert {p.name for p in tmp_path.iterdir()} == {"link.npz", "target.npz"}


def test_errors_of_reading_are_not_called_errors_of_writing(tmp_path: Path) -> None:
    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        yield "a", np.ones(3, np.float32)
        raise PermissionError(13, "Permission denied", "song.wav")

    with pytest.raises(PermissionError, match=r"song\.wav"):
        write_arrays(tmp_path / "e.npz", arrays())
    assert not list(tmp_path.iterdir())


def test_a_failure_on_the_way_leaves_the_archive_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    write_arrays(path, [("a", np.ones(3, np.float32))])

    def failing() -> Iterator[tuple[str, np.ndarray]]:
        yield "b", np.zeros(3, np.float32)
        raise ManifestError("b.wav: broken")

    with pytest.raises(ManifestError, match="broken"):
        write_arrays(path, failing())
    assert [p.name for p in tmp_path.iterdir()] == ["e.npz"] and list(np.load(path)) == ["a"]
