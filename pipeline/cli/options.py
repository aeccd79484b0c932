"""Options shared by commands; defaults come from the config dataclasses."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
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
        record = tomllib.loads(Path(value).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {value}: expected a TOML file: {error}") from error
    by_option = {
        name.lstrip("-"): parameter.name or ""
        for parameter in ctx.command.params
        for name in (*parameter.opts, parameter.name or "")
    }
    defaults = {}
    for key, given in record.items():
        name = by_option.get(key) or by_option.get(key.replace("_", "-"))
        if not name:
            raise UsageError(f"--config {value}: unknown option {key!r}; see --help for the names")
        defaults[name] = given
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


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


def parse_snrs(values: Sequence[str]) -> tuple[float, ...]:
    """Parse ``--snr`` values: numbers in dB, ``START:STOP:STEP`` with both ends, or commas.

    Raises:
        UsageError: not a number, or a range that never ends.
    """
    snrs: list[float] = []
    for value in ",".join(str(v) for v in values).split(","):
        parts = value.split(":")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if len(numbers) == 1:
            snrs += numbers
        elif len(numbers) == 3 and numbers[2] != 0 and (numbers[1] - numbers[0]) / numbers[2] >= 0:
            start, stop, step = numbers
            count = int((stop - start) / step + 1e-9)
            snrs += [round(start + step * i, 2) for i in range(count + 1)]
        else:
            raise UsageError(
                f"--snr: expected dB or START:STOP:STEP, e.g. 10:-10:-5, got {value!r}"
            )
    return tuple(snrs)


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


def cores() -> int:
    """Return the number of cores that this process may use."""
    return int(joblib.cpu_count())
