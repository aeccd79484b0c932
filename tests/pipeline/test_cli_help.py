"""``--help`` of every command, and the block of the design that scripts depend on."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest
from prep_runner import run_prep

from pipeline.cli import prep
from pipeline.config import RunOptions, SetConfig
from pipeline.corpora import CORPORA

BLOCK = """
prep doctor
prep demo-corpora DIR
prep scan --corpus NAME --root DIR [--metadata NAME=DIR] [--no-audio] [--json] [-o TABLE]
prep plan [--nodes --gpus --workers]
prep build-shards --music NAME=DIR --noise NAME=DIR|none --split S [--noise-split S] [--snr DB]…
    [--noises 1|2|4] [--excerpt-s S] [--excerpts-per-track N] [--tags …] [--band-limit …]
    [--resampler …] [--codec …] [--seed N] [--examples-per-shard N] [--jobs N]
    [--engine loky|dask] [--scheduler ADDR] [--limit N] [--max-reject-percent P] [--config FILE]
    [--overwrite] --out SET
prep build-shards --suite thesis|thesis-compact|demo --music … --noise … [--noises 1,2,4] --out DIR
"""
"""Section 5 of the design, ``prep``; other people's scripts hold these lines."""


def commands() -> dict[str, click.Command]:
    context = click.Context(prep)
    found = {name: prep.get_command(context, name) for name in prep.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> set[str]:
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts)}


def test_the_block_agrees_with_the_commands() -> None:
    lines = re.split(r"\nprep ", BLOCK.strip().removeprefix("prep "))
    for line in lines:
        name, _, rest = line.partition(" ")
        command = commands()[name]
        wanted = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest))
        assert wanted <= options_of(command), f"{name}: {wanted - options_of(command)}"
        shown = run_prep(name, "--help").out
        assert all(option in shown for option in wanted)


def test_the_block_is_that_of_the_design(shared_dir: Path) -> None:
    path = shared_dir / "DESIGN.md"
    if not path.is_file():
        pytest.skip("no DESIGN.md among the shared files")
    section = path.read_text(encoding="utf-8").split("## 5.")[1].split("```")[1]
    designed: dict[str, set[str]] = {}
    for line in re.split(r"\n(?=prep |train )", section.strip()):
        program, name, *_ = line.split()
        if program == "prep":
            flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line))
            designed.setdefault(name, set()).update(flags)
    for name, flags in designed.items():
        if name in commands():
            assert flags <= options_of(commands()[name]), name
    ours = {line.split()[1] for line in re.findall(r"^prep .*", BLOCK, re.MULTILINE)}
    assert ours <= designed.keys()


def test_plan_takes_the_options_of_build_shards() -> None:
    plan, build = (options_of(commands()[name]) for name in ("plan", "build-shards"))
    assert build - plan == {"--audit", "--no-audit", "--overwrite", "--out"}


@pytest.mark.parametrize("name", ["", *commands()])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_every_command(name: str, flag: str) -> None:
    ran = run_prep(*filter(None, [name, flag]))
    assert ran.status == 0 and ran.err == ""
    assert ran.out.startswith(f"Usage: prep {name}".rstrip())


def test_every_option_has_a_help_text() -> None:
    for name, command in commands().items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize(
    "words",
    ["seconds", "Hz", "dB", "percent", "[default: 2.678;", "[default: 100;", "[default: soxr]",
     "[default: 5.0;", "[default: 10 5 0 -5", "[default: auto]", "[default: cores]"],
)  # fmt: skip
def test_units_and_defaults_are_shown(words: str) -> None:
    shown = " ".join(run_prep("build-shards", "--help").out.split())
    assert words in shown


def test_defaults_come_from_the_config_classes() -> None:
    values = {f.name: f.default for f in (*fields(SetConfig), *fields(RunOptions))}
    own = {"noise_split", "jobs", "name", "noises"}  # resolved later, from others or the machine
    command, checked = commands()["build-shards"], 0
    context = click.Context(command)
    for parameter in command.params:
        if parameter.name in values and parameter.name not in own | {"music", "noise"}:
            default = parameter.get_default(context)
            assert (default or False) == (values[parameter.name] or False), parameter.name
            checked += 1
    assert checked > 15


def test_options_of_a_corpus_carry_its_name() -> None:
    prefixes = {"mtat": "mtat_", "mtg-jamendo": "jamendo_"}
    for name, module in CORPORA.items():
        for option in module.OPTIONS:
            assert option.name.startswith(prefixes.get(name, f"{name}_"))
            assert "--" + option.name.replace("_", "-") in options_of(commands()["build-shards"])


def test_version() -> None:
    ran = run_prep("--version")
    assert ran.status == 0 and re.fullmatch(r"prep, version \d+\.\d+\.\d+\n", ran.out)


def test_without_a_command_the_help_is_shown() -> None:
    ran = run_prep()
    assert "Commands:" in ran.out + ran.err and ran.status in (0, 2)


def test_a_misspelt_command_is_wrong_use() -> None:
    ran = run_prep("biuld-shards")
    assert ran.status == 2 and "No such command 'biuld-shards'" in ran.err
