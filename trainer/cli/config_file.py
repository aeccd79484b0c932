"""``--config FILE``: option values from TOML, under the names of the options."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from manifests.errors import UsageError


def load_config_file(
    path: str, command: click.Command, elsewhere: Collection[str] = ()
) -> dict[str, Any]:
    """Read option values for a command.

    Args:
        path: a TOML file, e.g. ``lambda = 0.1`` or ``classifier-hidden = [1024, 1024]``.
        command: whose options they are.
        elsewhere: options of other commands, which are passed over.

    Returns:
        Values by click parameter, as click's ``default_map`` takes them.

    Raises:
        UsageError: no TOML file, an option that nothing has, or a value that is none.
    """
    try:
        record = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {path}: expected a TOML file: {error}") from error
    by_option = {
        name.lstrip("-"): parameter for parameter in command.params for name in parameter.opts
    }
    found = {}
    for key, value in record.items():
        name = key.replace("_", "-")
        parameter = by_option.get(name)
        if parameter is None and name in elsewhere:
            continue
        if parameter is None or not parameter.name:
            raise UsageError(f"--config {path}: unknown option {key!r}; see --help for the names")
        found[parameter.name] = _given(value, parameter, f"--config {path}: {key}")
    return found


def _given(value: Any, parameter: click.Parameter, where: str) -> Any:
    """Return a value as the command line would give it, so that it is checked as there."""
    if isinstance(value, dict):
        raise UsageError(f"{where}: expected a value, got a table; write {where.split()[-1]} = …")
    if isinstance(value, list):
        parts = [_given(part, parameter, where) for part in value]
        return parts if parameter.multiple else ",".join(map(str, parts))
    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
    return value if is_flag and isinstance(value, bool) else str(value)
