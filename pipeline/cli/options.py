"""Options shared by commands; defaults come from the config dataclasses."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click
import joblib

from manifests.audio import DECODERS
from manifests.errors import UsageError
from pipeline.config import RunOptions, SetConfig
from pipeline.engine import ENGINES

Command = TypeVar("Command", bound=Callable[..., Any])
_DEFAULTS = {f.name: f.default for f in (*fields(SetConfig), *fields(RunOptions))}


def config_option(
    *names: str, field: str | None = None, **settings: Any
) -> Callable[[Command], Command]:
    """Return a click option whose default is that of the config field of its name."""
    name = field or names[0].lstrip("-").replace("-", "_")
    settings.setdefault("default", _DEFAULTS.get(name))
    settings.setdefault("show_default", settings["default"] is not None)
    return click.option(*names, **settings)


def apply(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Return a decorator that adds options in the order they are listed."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _load_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Read a TOML file of option values; options on the command line win."""
    if value is None:
        return
    try:
        record = tomllib.loads(Path(value).expanduser().read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {value}: expected a TOML file: {error}") from error
    by_option = {
        name.lstrip("-").replace("-", "_"): parameter
        for parameter in ctx.command.params
        for name in (*parameter.opts, parameter.name or "")
        if parameter.name != "config"
    }
    defaults = {}
    for key, given in record.items():
        parameter = by_option.get(key.replace("-", "_"))
        if parameter is None or parameter.name is None:
            raise UsageError(
                f"--config {value}: expected names of options as --help shows them, got {key!r}"
            )
        defaults[parameter.name] = _config_value(f"--config {value}: {key}", parameter, given)
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def _config_value(name: str, parameter: click.Parameter, given: Any) -> Any:
    """Return a TOML value as click wants it: a list for what may be repeated, else one value."""
    flag = bool(getattr(parameter, "is_flag", False))
    if isinstance(given, dict) or isinstance(given, bool) != flag:
        raise UsageError(
            f"{name}: expected {'true or false' if flag else 'a value'}, got {given!r}"
        )
    if parameter.multiple:
        return [str(item) for item in given] if isinstance(given, list) else [str(given)]
    if isinstance(given, list):  # --noises = [1, 2, 4]
        return ",".join(str(item) for item in given)
    return given if flag else str(given)  # so that 1.7 is refused for a whole number, as typed


config_file = click.option(
    "--config",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_load_config,
    help="TOML file with option values by the same names; the command line wins.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
metadata = click.option(
    "--metadata",
    multiple=True,
    metavar="NAME=DIR",
    help="Folder of a corpus' metadata, where it is not beside the audio. Repeatable.",
)
decoder = config_option(
    "--decoder",
    type=click.Choice(DECODERS),
    help="Decoder of sources; ffmpeg (the program) also reads m4a, webm and wma.",
)

run_options: Sequence[Any] = (
    config_option(
        "--jobs", type=click.IntRange(1), default=None, help="Worker processes. [default: cores]"
    ),
    config_option("--engine", type=click.Choice(ENGINES), help="Where shards are built."),
    config_option("--scheduler", metavar="ADDR", help="Dask scheduler, e.g. tcp://host:8786."),
)


def not_shared(names: Iterable[str]) -> set[str]:
    """Return those of some options that do not come from ``--config``.

    One file may serve several commands and corpora, so what it says beyond them is passed over.
    """
    ctx = click.get_current_context(silent=True)
    shared = click.core.ParameterSource.DEFAULT_MAP
    return {n for n in names if ctx is None or ctx.get_parameter_source(n) is not shared}


def parse_snrs(values: Sequence[str]) -> tuple[float, ...]:
    """Parse ``--snr`` values: numbers in dB, ``START:STOP:STEP`` with both ends, or commas.

    Raises:
        UsageError: not a number, or a range that never ends or has over a hundred values.
    """
    snrs: list[float] = []
    for value in ",".join(str(v) for v in values).split(","):
        try:
            numbers = [float(part) for part in value.split(":")]
        except ValueError:
            numbers = []
        found = numbers if len(numbers) == 1 else _snr_range(numbers)
        if not found or not all(math.isfinite(snr) for snr in found):
            raise UsageError(
                f"--snr: expected dB or START:STOP:STEP, e.g. 10:-10:-5, got {value!r}"
            )
        snrs += found
    return tuple(snr + 0.0 for snr in snrs)  # no -0.0: it has 0.0's name


def _snr_range(numbers: Sequence[float]) -> list[float]:
    if len(numbers) != 3 or not all(math.isfinite(number) for number in numbers) or not numbers[2]:
        return []
    start, stop, step = numbers
    steps = (stop - start) / step + 1e-9
    return [round(start + step * i, 2) for i in range(int(steps) + 1)] if 0 <= steps < 100 else []


def parse_noise_counts(value: str) -> tuple[int, ...]:
    """Parse ``--noises``: 1, 2 or 4, or a list of these.

    Raises:
        UsageError: something else.
    """
    try:
        counts = tuple(int(part) for part in str(value).split(","))
    except ValueError:
        counts = ()
    if not counts or any(k not in (1, 2, 4) for k in counts) or len(set(counts)) != len(counts):
        raise UsageError(f"--noises: expected 1, 2 or 4, or a list such as 1,2,4, got {value}")
    return counts


def expanded(path: str | None) -> str | None:
    """Return a path with ``~`` expanded, as shells do it only at the beginning of a word."""
    return path and os.path.expanduser(path)  # noqa: PTH111 - a URL stays as it is


def check_scheduler(engine: str, scheduler: str | None) -> None:
    """Refuse a scheduler that would not be used.

    Raises:
        UsageError: ``--scheduler`` without ``--engine dask``.
    """
    if scheduler is not None and engine != "dask":
        raise UsageError(f"--scheduler {scheduler}: expected --engine dask beside it, got {engine}")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return int(joblib.cpu_count())
