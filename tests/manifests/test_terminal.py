"""Standard output takes every text, whatever its encoding."""

from __future__ import annotations

import io
import sys

import pytest
from click.testing import CliRunner

from manifests.terminal import escape_unencodable
from pipeline.cli import prep
from trainer.cli import train


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    escape_unencodable()
    stream.write("ü ł \udcff")
    stream.flush()
    assert stream.buffer.getvalue() == b"\xfc \\u0142 \\udcff"  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_a_stream_that_cannot_be_changed(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    escape_unencodable()


@pytest.mark.parametrize("program", [prep, train])
def test_both_programs_say_their_help_in_ascii(program: object) -> None:
    runner = CliRunner(charset="ascii")
    assert runner.invoke(program, ["--help"]).exit_code == 0  # type: ignore[arg-type]
    spy: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pipeline.cli.group", "trainer.cli.group"):
            patch.setattr(f"{module}.escape_unencodable", lambda: spy.append("called"))
        runner.invoke(program, ["--help"])  # type: ignore[arg-type]
    assert spy == ["called"]
