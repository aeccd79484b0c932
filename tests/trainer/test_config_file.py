"""Names of flags in a file of options: on and off, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from manifests.errors import UsageError
from trainer.cli.config_file import load_config_file
from trainer.cli.methods import baseline, dat
from trainer.cli.options import _load_config


def loaded(tmp_path: Path, text: str, command: click.Command = dat) -> dict[str, Any]:
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    return load_config_file(str(tmp_path / "run.toml"), command)


def test_the_off_name_of_a_flag_is_its_opposite(tmp_path: Path) -> None:
    assert loaded(tmp_path, "finetune = true\nsame_domain = true\nno-augment = false") == {
        "tagger__freeze": False, "encoder__cross_domain": False, "encoder__augment": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("finetune = 'perhaps'", "run.toml: finetune: expected true or false, got 'perhaps'"),
        ("freeze = true\nfinetune = false", "run.toml: expected freeze or finetune, got both;"),
        ("input-level = 'rms'\ninput_level = 'asis'", "expected input-level or input_level, got"),
    ],
)
def test_a_flag_is_given_once_and_as_a_flag(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        loaded(tmp_path, text)


def test_off_names_of_other_methods_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("finetune = true\nsame-domain = true")
    context = click.Context(baseline)
    _load_config(context, baseline.params[0], str(path))
    assert context.default_map == {"encoder__cross_domain": False}


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufefffinetune = true") == {"tagger__freeze": False}
