"""NaN and infinity are refused with the option's name; so is an SNR that is none."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path

import pytest
from tiny_suite import COMPARISON, run

from trainer.cli.option_table import SECTIONS, option_name, uses
from trainer.config import METHODS

FLOATS = [
    (section, field.name)
    for section, (config_class, _) in SECTIONS.items()
    for field in fields(config_class)
    for hint in [typing.get_type_hints(config_class)[field.name]]
    if float in (hint, *typing.get_args(hint))
]


@pytest.mark.parametrize(("section", "field"), FLOATS)
def test_no_number_is_refused_by_name(tmp_path: Path, section: str, field: str) -> None:
    option = option_name(section, field)
    method = next(method for method in METHODS if uses(method, section, field))
    for value in ("nan", "inf", "-inf"):
        result = run(method, "--shards", "x", "--out", tmp_path / "run", option, value)
        assert result.exit_code == 2 and f"Invalid value for '{option}'" in result.stderr
        assert "Traceback" not in result.output


def test_snrs_have_a_range(tmp_path: Path) -> None:
    for option in ("--snr-low-db", "--snr-high-db"):
        result = run("baseline", "--shards", "x", "--out", tmp_path / "run", option, "1e9")
        assert "is not in the range -100<=x<=100" in result.stderr


def test_a_range_that_is_too_narrow_for_the_schedule_gets_advice_that_exists(
    suite: Path, tmp_path: Path
) -> None:
    narrow = ("--snr-low-db", "5", "--snr-high-db", "8", "--e2h", "0.1")
    out = ("--out", tmp_path / "run")
    result = run("supervised", "--shards", suite, *out, *COMPARISON, *narrow)
    assert result.exit_code == 2
    assert "widen the range (--snr-low-db, --snr-high-db), or leave out --e2h" in result.stderr
    for option in ("--lambda", "--e2h-classifier"):
        words = run("dat", "--help").output.split(f" {option} ")[1].split("[default")[0]
        assert "None" not in words and "without it" in " ".join(words.split())
