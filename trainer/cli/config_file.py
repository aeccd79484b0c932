"""Option values from TOML, under the names of the options: ``--config`` and ``--rows``."""

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
    return _values(_read(path, "--config"), command, elsewhere, f"--config {path}: ")


def load_rows_file(path: str, ctx: click.Context) -> dict[str, dict[str, Any]]:
    """Read the rows of a grid: a TOML table per row, with ``method`` and option values.

    Args:
        path: a TOML file, e.g. ``[thesis-dat]``, ``method = "dat"``, ``domain-loss = "reversed"``.
        ctx: context of the command whose options they are.

    Returns:
        By row, its options by click parameter, converted and checked; the method, and ``encoder``
        where the row begins with a random one, under those names.

    Raises:
        UsageError: no TOML file, no row, an option that nothing has, or a value that is none.
    """
    rows = {}
    for name, table in _read(path, "--rows").items():
        where = f"--rows {path}: [{name}]"
        if not isinstance(table, dict) or not isinstance(table.get("method"), str):
            raise UsageError(f"{where}: expected a table with method = …, got {table!r}")
        own = {key: table[key] for key in ("method", "encoder") if key in table}
        options = {key: value for key, value in table.items() if key not in own}
        by_name = {parameter.name: parameter for parameter in ctx.command.params}
        for parameter, value in _values(options, ctx.command, (), f"{where}: ").items():
            try:
                own[parameter] = by_name[parameter].type_cast_value(ctx, value)
            except click.BadParameter as error:
                raise UsageError(f"{where}: {error.format_message()}") from error
        rows[name] = own
    if not rows:
        raise UsageError(f"--rows {path}: expected a table per row, got none")
    return rows


def _read(path: str, option: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{option} {path}: expected a TOML file: {error}") from error


def _values(
    record: dict[str, Any], command: click.Command, elsewhere: Collection[str], where: str
) -> dict[str, Any]:
    """Return option values by click parameter, as the command line would give them."""
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
            raise UsageError(f"{where}unknown option {key!r}; see --help for the names")
        found[parameter.name] = _given(value, parameter, f"{where}{key}")
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
