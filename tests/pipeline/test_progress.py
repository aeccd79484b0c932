"""Progress: lines in logs, a bar on a terminal, nothing for machines."""

from __future__ import annotations

import os
import pty
import re
import select
import sys

import pytest

from pipeline.progress import BarReporter, PlainReporter, SilentReporter, reporter


def test_plain_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """At most one line every ten seconds, and one at the end."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with PlainReporter().track("build x", 40, "examples") as advance:
        for seconds, amount in ((4, 5), (5, 5), (2, 5), (1, 5), (8, 10), (3, 10)):
            clock[0] += seconds
            advance(amount)
    assert capsys.readouterr().err.splitlines() == [
        "build x: 15/40 examples, 1.4 examples/s, 0:00:18 left",
        "build x: 40/40 examples, 1.7 examples/s, 0:00:00 left",
    ]


def test_plain_line_of_work_that_was_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainReporter().track("scan x", 8, "files") as advance:
        advance(8)
    assert capsys.readouterr().err == "scan x: 8/8 files\n"


def test_plain_times_over_an_hour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with PlainReporter().track("scan x", 20_000, "files") as advance:
        clock[0] += 10
        advance(10)
    assert "10/20,000 files, 1.0 files/s, 5:33:10 left" in capsys.readouterr().err


def test_silence(capfd: pytest.CaptureFixture[str]) -> None:
    with SilentReporter().track("x", 1, "y") as advance:
        advance(1)
    assert capfd.readouterr() == ("", "")


def test_an_error_ends_the_work_of_every_reporter() -> None:
    for each in (SilentReporter(), PlainReporter(), BarReporter()):
        with pytest.raises(KeyError), each.track("x", 2, "y") as advance:
            advance(1)
            raise KeyError


def all_that_was_written(terminal: int) -> str:
    """Read a pseudo-terminal until nothing comes for a moment: one read may give a part."""
    data = b""
    while select.select([terminal], [], [], 1.0)[0]:
        try:
            part = os.read(terminal, 100_000)
        except OSError:
            break
        if not part:
            break
        data += part
    return data.decode()


def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written to a copy of descriptor 2, which decoding redirects for moments."""
    ours, theirs = pty.openpty()
    saved = os.dup(2)
    try:
        os.dup2(theirs, 2)
        with BarReporter().track("build x", 4, "examples") as advance:
            os.dup2(saved, 2)  # as manifests.audio does while it decodes
            for _ in range(4):
                advance(1)
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", all_that_was_written(ours))
    os.close(theirs)  # not before: a closed end may lose what is still on its way
    os.close(ours)
    assert "build x" in shown and "4/4" in shown and "examples/s" in shown


def test_a_name_that_looks_like_markup(capfd: pytest.CaptureFixture[str]) -> None:
    with BarReporter().track("build a [/b] [red]c", 1, "examples") as advance:
        advance(1)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capfd.readouterr().err)
    assert "build a [/b] [red]c" in shown


def test_which_reporter_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(reporter(quiet=True), SilentReporter)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert isinstance(reporter(), PlainReporter)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(reporter(), BarReporter)
