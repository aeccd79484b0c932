"""The options of a run: every hyper-parameter of the config dataclasses, with their defaults.

An option that is not given takes the preset's value, so the defaults shown are those of
``--preset thesis`` for ``dat``.
"""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from manifests.errors import UsageError
from trainer.config import (
    PRESETS,
    DomainConfig,
    EncoderConfig,
    Method,
    ModelConfig,
    SnrConfig,
    SystemConfig,
    TagConfig,
    TrainConfig,
    lay_over,
    preset_config,
)

Command = TypeVar("Command", bound=Callable[..., Any])

SECTIONS: Final[dict[str, tuple[type, str]]] = {
    "model": (ModelConfig, ""),
    "snr": (SnrConfig, "snr"),
    "encoder": (EncoderConfig, "encoder"),
    "domain": (DomainConfig, "classifier"),
    "tagger": (TagConfig, ""),
    "system": (SystemConfig, ""),
}
"""Config section: its class, and what its options begin with."""

NAMES: Final[dict[tuple[str, str], str]] = {
    ("tagger", "lambda_dom"): "--lambda",
    ("tagger", "freeze"): "--freeze/--finetune",
    ("tagger", "refresh_every"): "--refresh-domain-classifier",
    ("snr", "e2h_db_per_epoch"): "--e2h",
    ("snr", "e2h_mode"): "--e2h-mode",
    ("tagger", "labelled_noise"): "--labelled-noise/--no-labelled-noise",
    ("encoder", "augment"): "--augment/--no-augment",
    ("encoder", "cross_domain"): "--cross-domain/--same-domain",
}


def parameter_name(section: str, field: str) -> str:
    """Return the click parameter of a config field."""
    return f"{section}__{field}"


def option_name(section: str, field: str) -> str:
    """Return the option of a config field, e.g. ``--encoder-lr``."""
    if given := NAMES.get((section, field)):
        return given
    prefix = SECTIONS[section][1]
    stem = f"{prefix}-{field}" if prefix else field
    return "--" + stem.replace("_", "-")


def attribute_helps(config_class: type) -> dict[str, str]:
    """Return the help text of each field, from the class' docstring."""
    text = (config_class.__doc__ or "").partition("Attributes:")[2]
    entries = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(words.replace("``", "").split()) for name, words in entries}


def _choices(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return [str(value) for value in typing.get_args(annotation)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [c for part in typing.get_args(annotation) for c in _choices(part)]
    return []


def _kind(annotation: Any) -> Any:
    if choices := _choices(annotation):
        return click.Choice(choices)
    if annotation in (int, float, str):
        return annotation
    if annotation == tuple[int, ...]:
        return str
    return float  # float | None


def _config_options() -> Iterator[Callable[[Command], Command]]:
    for section, (config_class, _) in SECTIONS.items():
        helps = attribute_helps(config_class)
        hints = typing.get_type_hints(config_class)
        for field in fields(config_class):
            default = field.default
            if isinstance(default, tuple):
                default = ",".join(str(value) for value in default)
            shown = "by the loss' form" if default is None else default
            help_text = f"{helps[field.name][0].upper()}{helps[field.name][1:]}  [default: {shown}]"
            settings: dict[str, Any] = {"default": None, "help": help_text}
            if hints[field.name] is not bool:
                settings["type"] = _kind(hints[field.name])
            names = (option_name(section, field.name), parameter_name(section, field.name))
            yield click.option(*names, **settings)


def _load_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Read a TOML file of option values; options on the command line win."""
    if value is None:
        return
    try:
        record = tomllib.loads(Path(value).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {value}: expected a TOML file: {error}") from error
    by_option = {
        name.lstrip("-"): parameter.name or ""
        for parameter in ctx.command.params
        for name in parameter.opts
    }
    defaults = {}
    for key, given in record.items():
        name = by_option.get(key.replace("_", "-"))
        if not name:
            raise UsageError(f"--config {value}: unknown option {key!r}; see --help for the names")
        defaults[name] = given
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


# fmt: off
def shards_options(command: Command) -> Command:
    """Add ``--shards`` and ``--set``."""
    for option in (
        click.option("--set", "sets", multiple=True, metavar="ROLE=SET", help="A set for one role, instead of the suite's. Repeatable."),
        click.option("--shards", metavar="DIR", help="Folder of a suite, or of its k1, k2, k4."),
    ):
        command = option(command)
    return command


def run_options(command: Command) -> Command:
    """Add all options of a training command."""
    options = [
        click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Folder of the run; a run that is there goes on."),
        click.option("--encoder", "encoder_from", metavar="RUN|CKPT|random", help="Take stage 1 from here instead of training it."),
        click.option("--preset", type=click.Choice(list(PRESETS)), default="thesis", show_default=True, help="Values laid over the defaults."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of initialisation, order, crops and SNRs."),
        click.option("--extra-target", is_flag=True, help="Also take the unlabelled targets of the set extra-target (the paper's b)."),
        click.option("--overwrite", is_flag=True, help="Remove a run of another configuration."),
        click.option("--resume", is_flag=True, help="Go on with a run; it must be there."),
        click.option("--config", metavar="FILE", is_eager=True, expose_value=False, callback=_load_config, help="TOML file with option values by the same names; the command line wins."),
        *_config_options(),
    ]
    for option in reversed(options):
        command = option(command)
    return shards_options(command)


# fmt: on
def make_config(method: Method, values: dict[str, Any]) -> tuple[TrainConfig, SystemConfig]:
    """Return the configs of a run: preset, then the options that were given.

    Raises:
        UsageError: a value that does not parse.
    """
    config = preset_config(values["preset"], method, values["seed"])
    config = replace(config, extra_target=values["extra_target"])
    system = SystemConfig()
    for section in SECTIONS:
        given = {
            field.name: values[parameter_name(section, field.name)]
            for field in fields(SECTIONS[section][0])
            if values.get(parameter_name(section, field.name)) is not None
        }
        if "hidden" in given:
            given["hidden"] = _sizes(given["hidden"])
        if section == "system":
            system = lay_over(system, given)
        else:
            config = replace(config, **{section: lay_over(getattr(config, section), given)})
    return config, system


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part)
    except ValueError as error:
        raise UsageError(
            f"--classifier-hidden: expected sizes such as 100 or 1024,1024: {text}"
        ) from error
