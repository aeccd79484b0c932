"""docs/cluster.md asks ``prep`` and ``train`` for options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import prep
from trainer.cli import train

DOCUMENT = Path(__file__).parents[2] / "docs" / "cluster.md"
GROUPS = {"prep": prep, "train": train}


def commands() -> list[tuple[str, str, str]]:
    """Return program, command and all that follows of every command in the document."""
    text = DOCUMENT.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"(?:^|--no-python |`)(prep|train) ([a-z-]+)([^`\n]*)", text, re.MULTILINE)


def test_the_document_has_commands_of_both_programs() -> None:
    assert {(program, command) for program, command, _ in commands()} >= {
        ("prep", "plan"), ("prep", "build-shards"), ("train", "dat")
    }  # fmt: skip


@pytest.mark.parametrize(("program", "command", "rest"), commands())
def test_every_option_of_the_document_exists(program: str, command: str, rest: str) -> None:
    done = CliRunner().invoke(GROUPS[program], [command, "--help"], prog_name=program)
    assert done.exit_code == 0
    offered = set(re.findall(r"--[a-z0-9-]+", done.output))
    assert set(re.findall(r"--[a-z0-9-]+", rest)) <= offered
