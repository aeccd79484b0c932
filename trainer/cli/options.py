"""The options of a run: every hyper-parameter of the config dataclasses, with their defaults.

An option that is not given takes the preset's value; the defaults shown are those without
``--preset``, for the command's method. A command has the options that its method uses, and no others.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from manifests.errors import UsageError
from trainer.cli.config_file import load_config_file
from trainer.cli.option_table import FOLLOWING, RANGES, SECTIONS, option_name, parameter_name, uses
from trainer.config import Method, ModelConfig, SystemConfig, TrainConfig
from trainer.presets import DEFAULT, PRESETS, lay_over, preset_config

Command = TypeVar("Command", bound=Callable[..., Any])


def attribute_helps(config_class: type) -> dict[str, str]:
    """Return the help text of each field, from the class' docstring.

    A sentence that begins with a value to type keeps the value as it is typed.
    """
    text = (config_class.__doc__ or "").partition("Attributes:")[2]
    entries = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", text, re.MULTILINE | re.DOTALL)
    return {
        name: " ".join((words[0].upper() + words[1:]).replace("``", "").split())
        for name, words in entries
    }


def _choices(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return [str(value) for value in typing.get_args(annotation)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [c for part in typing.get_args(annotation) for c in _choices(part)]
    return []


def _kind(section: str, field: str, annotation: Any) -> Any:
    if found := RANGES.get(f"{section}.{field}") or RANGES.get(field):
        return found
    if choices := _choices(annotation):
        return click.Choice(choices)
    return annotation if annotation in (int, float) else str


def _shown(option: str, value: Any) -> str:
    """Return a default as a user would write it."""
    if value is None:
        return FOLLOWING[option]
    if isinstance(value, bool):
        on, _, off = option.partition("/")
        return on if value else off
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _config_options(methods: Collection[Method]) -> Iterator[Callable[[Command], Command]]:
    shown = preset_config(DEFAULT, next(iter(methods)))
    for section, (config_class, _) in SECTIONS.items():
        helps = attribute_helps(config_class)
        hints = typing.get_type_hints(config_class)
        defaults = SystemConfig() if section == "system" else getattr(shown, section)
        for field in fields(config_class):
            if not any(uses(method, section, field.name) for method in methods):
                continue
            option, text = option_name(section, field.name), helps[field.name]
            default = _shown(option, getattr(defaults, field.name))
            help_text = f"{text}  [default: {default}]"
            settings: dict[str, Any] = {"default": None, "help": help_text}
            if hints[field.name] is not bool:
                settings["type"] = _kind(section, field.name, hints[field.name])
            yield click.option(option, parameter_name(section, field.name), **settings)


# fmt: off
def shards_options(command: Command) -> Command:
    """Add ``--shards`` and ``--set``."""
    for option in (
        click.option("--set", "sets", multiple=True, metavar="ROLE=SET", help="A set for one role, instead of the suite's. Repeatable."),
        click.option("--shards", metavar="DIR", help="Folder of a suite, or of its k1, k2, k4."),
    ):
        command = option(command)
    return command


def run_options(*methods: Method) -> Callable[[Command], Command]:
    """Return a decorator that adds all options of a training command.

    Args:
        methods: what the command trains; several for ``train grid``, which has seeds and encoders
            of its own.
    """
    options = [
        click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Folder of the run; a run that is there goes on."),
        click.option("--preset", type=click.Choice(list(PRESETS)), default=DEFAULT, show_default=True, help="Values laid over the defaults: thesis hears inputs as they are (--input-level asis), demo trains a small network in minutes."),
        click.option("--overwrite", is_flag=True, help="Remove a run of another configuration."),
        click.option("--config", metavar="FILE", is_eager=True, expose_value=False, callback=_load_config, help="TOML file with option values by the same names; the command line wins."),
    ]
    if len(methods) == 1:
        options[1:1] = [
            click.option("--encoder", "encoder_from", metavar="RUN|CKPT" if methods == ("dat",) else "RUN|CKPT|random", help="Take stage 1 from here instead of training it."),
            click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of initialisation, order, crops and SNRs."),
            click.option("--resume", is_flag=True, help="Go on with a run; it must be there."),
        ]
    if "dat" in methods:
        options.append(click.option("--extra-target", is_flag=True, help="Also take the unlabelled targets of the set extra-target (the paper's b)."))
    if "noisy-student" in methods:
        options += [
            click.option("--teacher", type=click.Path(path_type=Path), metavar="RUN", help="Finished run (or checkpoint) that teaches, with its own backbone and size; else a baseline is trained in RUN/teacher."),
            click.option("--unlabelled-shards", metavar="SET|SUITE", help="Learn from the teacher's answers on this set (of a suite: its extra-target) instead of the target half; real recordings too."),
        ]
    options += _config_options(methods)

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return shards_options(command)

    return add


# fmt: on
def _load_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Read a TOML file of option values; options on the command line win.

    Options of other methods' commands are passed over, so that one file serves all.
    """
    if value is None:
        return
    elsewhere = {"stage", "init", "encoder", "seed", "resume", "extra-target"}
    elsewhere |= {"teacher", "unlabelled-shards"}
    for section, (config_class, _prefix) in SECTIONS.items():
        for field in fields(config_class):
            names = option_name(section, field.name).split("/")
            elsewhere.update(name.lstrip("-") for name in names)
    found = load_config_file(value, ctx.command, elsewhere)
    ctx.default_map = {**(ctx.default_map or {}), **found}


def make_config(method: Method, values: dict[str, Any]) -> tuple[TrainConfig, SystemConfig]:
    """Return the configs of a run: preset, then the options that were given.

    Options that the method does not use change nothing.

    Raises:
        UsageError: a value that does not parse.
    """
    config = preset_config(values["preset"], method, values.get("seed", 0))
    config = replace(config, extra_target=method == "dat" and values.get("extra_target", False))
    system = SystemConfig()
    for section in SECTIONS:
        given = {
            field.name: values[parameter_name(section, field.name)]
            for field in fields(SECTIONS[section][0])
            if values.get(parameter_name(section, field.name)) is not None
            and uses(method, section, field.name)
        }
        if section == "domain" and "hidden" in given:
            given["hidden"] = _sizes(given["hidden"])
        if section == "system":
            system = lay_over(system, given)
        else:
            config = replace(config, **{section: lay_over(getattr(config, section), given)})
    return config, system


def given_model_options(values: dict[str, Any]) -> list[str]:
    """Return the fields of the model's config that were given, not taken from preset or default."""
    names = [field.name for field in fields(ModelConfig)]
    return [name for name in names if values.get(parameter_name("model", name)) is not None]


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise UsageError(
            f"--classifier-hidden: expected sizes such as 100 or 1024,1024, got {text!r}"
        )
    return sizes
