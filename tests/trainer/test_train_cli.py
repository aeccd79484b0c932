"""The program ``train``: help and version, tracebacks with --debug alone, and interrupts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_suite import SAMPLES, refused, run

import trainer.cli.methods
from trainer.cli.group import _COMMANDS
from trainer.cli.option_table import RANGES, SECTIONS, USED_BY, option_name
from trainer.cli.options import attribute_helps
from trainer.config import METHODS


@pytest.mark.parametrize("command", ["", *_COMMANDS])
def test_help_of_every_command(command: str) -> None:
    result = run(*filter(None, [command]), "--help")
    assert result.exit_code == 0 and "Usage: train" in result.output
    words = " ".join(result.output.split())
    if command in METHODS:
        assert "--out RUN" in words and "--epochs INTEGER RANGE" in words
        assert "Adam's learning rate. [default: 0.0001]" in words
        assert "at the clip" not in words
    if command:
        options = [line for line in result.output.splitlines() if line.startswith("  -")]
        assert len(options) >= 4, "every command has options, and help for them"


def test_help_shows_the_defaults_of_the_preset_that_is_used() -> None:
    words = {m: " ".join(run(m, "--help").output.split()) for m in ("dat", "baseline", "robust")}
    assert "levels of its training shards. [default: rms]" in words["dat"]
    assert "else it learns on. [default: --freeze]" in words["dat"]
    assert "0.5 for confusion and entropy. [default: by the loss' form]" in words["dat"]
    assert "loss, or none. [default: embedding]" in words["robust"]
    assert "the target half is not opened. [default: all]" in words["robust"]
    for option in ("--lambda", "--classifier-epochs", "--consistency", "--stage", "--extra-target"):
        assert option in words["dat"] and option not in words["baseline"], option


def test_every_field_has_help_and_every_range_a_field() -> None:
    fields = {
        (section, name)
        for section, (config_class, _) in SECTIONS.items()
        for name in config_class.__dataclass_fields__  # type: ignore[attr-defined]
    }
    for section, name in fields:
        assert attribute_helps(SECTIONS[section][0])[name]
    assert {name.split(".")[-1] for name in RANGES} <= {name for _, name in fields}
    assert set(USED_BY) <= fields
    options = [option_name(*field) for field in fields]
    assert len(set(options)) == len(options)


def test_versions_and_names() -> None:
    assert run("--version").output.startswith("train, version ")
    assert SAMPLES > 0 and set(METHODS) <= set(_COMMANDS)


def test_a_traceback_only_with_debug(monkeypatch: pytest.MonkeyPatch, suite: Path) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("as a bug would")

    monkeypatch.setattr(trainer.cli.methods, "make_config", broken)
    arguments = ("baseline", "--shards", suite, "--out", "x")
    refused(
        arguments, 1,
        "train: unexpected ZeroDivisionError: as a bug would; 'train --debug …' shows where",
    )  # fmt: skip
    result = run("--debug", *arguments)
    assert isinstance(result.exception, ZeroDivisionError)


def test_interrupting_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, suite: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.cli.methods, "make_config", interrupted)
    result = run("baseline", "--shards", suite, "--out", "x")
    assert result.exit_code == 130
    assert "train: interrupted; run the same command again to go on" in result.output
