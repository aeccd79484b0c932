"""What libmpg123 says on file descriptor 2 is caught; what others say there is not."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_sounds import mp3_bytes, uneven_music

from manifests.audio import AudioError, open_audio
from manifests.decoder_messages import decoder_messages

Stderr = Callable[[], bytes]


@pytest.fixture
def stderr(capfdbinary: pytest.CaptureFixture[bytes]) -> Stderr:
    """Return what was written to file descriptor 2 since the last call."""
    return lambda: capfdbinary.readouterr().err


def say(text: bytes) -> None:
    os.write(2, text)


def test_lines_of_others_pass_byte_for_byte(stderr: Stderr) -> None:
    others = b"\r\x1b[2K 12 % \xff\xfe\n\n  indented\nUserWarning: x\nno newline at the end"
    said: list[str] = []
    with decoder_messages(said):
        say(others)
        assert stderr() == b""
    assert stderr() == others
    assert said == []


@pytest.mark.parametrize(
    "line",
    [
        b"Note: Illegal Audio-MPEG-Header 0x00000000 at offset 20390.",
        b"Note: Trying to resync...",
        b"Warning: Xing stream size off by more than 1%, fuzzy seeking may be even more fuzzy!",
        b"[src/libmpg123/parse.c:INT123_skip_junk():1276] error: Giving up searching",
        b"[parse.c:1276] error: Giving up resync after 1024 bytes",
    ],
)
def test_lines_of_the_decoder_are_kept_from_the_terminal(stderr: Stderr, line: bytes) -> None:
    said: list[str] = []
    with decoder_messages(said):
        say(b"before\n" + line + b"\nafter\n")
    assert said == [line.decode()]
    assert stderr() == b"before\nafter\n"


def test_the_blank_line_before_a_warning_goes_with_it(stderr: Stderr) -> None:
    said: list[str] = []
    with decoder_messages(said):
        say(b"\nWarning: Encountered more data after announced end of track. Frankenstein!\n")
    assert len(said) == 1
    assert stderr() == b""


def test_the_terminal_is_back_after_an_error(stderr: Stderr) -> None:
    said: list[str] = []
    with contextlib.suppress(KeyError), decoder_messages(said):
        say(b"Note: one\nother\n")
        raise KeyError
    say(b"after\n")
    assert said == ["Note: one"]
    assert stderr() == b"other\nafter\n"


def test_nested_redirections_come_apart_again(stderr: Stderr) -> None:
    outer: list[str] = []
    inner: list[str] = []
    with decoder_messages(outer):
        say(b"Note: outer\n")
        with decoder_messages(inner):
            say(b"Note: inner\nother\n")
    assert (outer, inner) == (["Note: outer"], ["Note: inner"])
    assert stderr() == b"other\n"


def test_threads_take_turns(stderr: Stderr) -> None:
    """Two redirections that overlap in time would leave descriptor 2 in a deleted file."""
    inside, entered = threading.Event(), threading.Event()

    def second() -> None:
        inside.wait(timeout=10)
        with decoder_messages([]):
            entered.set()
            say(b"second\n")

    thread = threading.Thread(target=second)
    thread.start()
    with decoder_messages([]):
        inside.set()
        assert not entered.wait(timeout=0.2)
        say(b"first\n")
    thread.join(timeout=10)
    say(b"end\n")
    assert stderr() == b"first\nsecond\nend\n"


def test_what_libmpg123_says_of_a_broken_file_is_in_the_error(
    tmp_path: Path, stderr: Stderr
) -> None:
    data = bytearray(mp3_bytes(uneven_music(220_500, 44_100), 44_100, "VARIABLE"))
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path = tmp_path / "holed.mp3"
    path.write_bytes(data)
    with (
        pytest.raises(AudioError, match=r"\(decoder: Note: Illegal Audio-MPEG-Header 0x0+ at"),
        open_audio(path, "holed.mp3") as (_, blocks),
    ):
        say(b"a line of ours\n")
        for _ in blocks:
            pass
    assert stderr() == b"a line of ours\n"


def test_a_cut_file_makes_no_noise_on_the_terminal(tmp_path: Path, stderr: Stderr) -> None:
    data = mp3_bytes(uneven_music(220_500, 44_100), 44_100, "VARIABLE")
    path = tmp_path / "cut.mp3"
    path.write_bytes(data[: len(data) // 2])
    with open_audio(path, "cut.mp3") as (_, blocks):
        assert sum(len(block) for block in blocks) > 0
    assert stderr() == b""
