"""Option values from TOML, under the names of the options: ``--config`` and ``--rows``."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click

from manifests.errors import UsageError
from trainer.cli.option_table import serves, sets_a_run
from trainer.config import METHODS


def load_config_file(
    path: str, command: click.Command, elsewhere: Collection[str] = ()
) -> dict[str, Any]:
    """Read option values for a command; ``finetune = true`` is ``freeze = false``.

    Args:
        path: a TOML file, e.g. ``lambda = 0.1`` or ``classifier-hidden = [1024, 1024]``.
        command: whose options they are.
        elsewhere: options of other commands, which are passed over.

    Returns:
        Values by click parameter, as click's ``default_map`` takes them.

    Raises:
        UsageError: no TOML file, an option that nothing has or that is there twice, or a value
            that is none.
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
        UsageError: no TOML file, no row or no method, an option that nothing has, that the row's
            method does not use or that is the whole grid's, or a value that is none.
    """
    by_name = {parameter.name or "": parameter for parameter in ctx.command.params}
    rows = {}
    for name, table in _read(path, "--rows").items():
        where = f"--rows {path}: [{name}]"
        if not isinstance(table, dict) or not isinstance(table.get("method"), str):
            raise UsageError(f"{where}: expected a table with method = …, got {table!r}")
        own = {key: table[key] for key in ("method", "encoder") if key in table}
        options = {key: value for key, value in table.items() if key not in own}
        found = _values(options, ctx.command, (), f"{where}: ")
        _check_row(own["method"], {one: by_name[one].opts[0] for one in found}, where)
        for parameter, value in found.items():
            try:
                own[parameter] = by_name[parameter].type_cast_value(ctx, value)
            except click.BadParameter as error:
                raise UsageError(f"{where}: {error.format_message()}") from error
        rows[name] = own
    if not rows:
        raise UsageError(f"--rows {path}: expected a table per row, got none")
    return rows


def _check_row(method: str, options: Mapping[str, str], where: str) -> None:
    """Refuse a row's options, by click parameter, that would change nothing in its runs."""
    if method not in METHODS:
        raise UsageError(f"{where}: expected a method of {', '.join(METHODS)}, got {method}")
    if shared := [option for name, option in options.items() if not sets_a_run(name)]:
        raise UsageError(
            f"{where}: expected options of one row, got {', '.join(shared)}, which the whole grid "
            "shares; give that on the command line or with --config"
        )
    if unused := [option for name, option in options.items() if not serves(method, name)]:
        raise UsageError(
            f"{where}: expected options that {method} uses, got {', '.join(unused)}; leave that "
            "out, or name another method"
        )


def _read(path: str, option: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{option} {path}: expected a TOML file: {error}") from error


def _values(
    record: dict[str, Any], command: click.Command, elsewhere: Collection[str], where: str
) -> dict[str, Any]:
    """Return option values by click parameter, as the command line would give them."""
    by_option = {
        name.lstrip("-"): (parameter, on)
        for parameter in command.params
        for names, on in ((parameter.opts, True), (parameter.secondary_opts, False))
        for name in names
    }
    found, keys = dict[str, Any](), dict[str, str]()
    for key, value in record.items():
        name = key.replace("_", "-")
        parameter, on = by_option.get(name, (None, True))
        if parameter is None and name in elsewhere:
            continue
        if parameter is None or not parameter.name:
            raise UsageError(f"{where}unknown option {key!r}; see --help for the names")
        if (earlier := keys.setdefault(parameter.name, key)) != key:
            raise UsageError(f"{where}expected {earlier} or {key}, got both; leave one out")
        given = _given(value, parameter, f"{where}{key}")
        found[parameter.name] = given if on else _negated(given, f"{where}{key}")
    return found


def _negated(value: Any, where: str) -> bool:
    """Return the value of a flag that was given by its off-name, e.g. ``finetune``."""
    if not isinstance(value, bool):
        raise UsageError(f"{where}: expected true or false, got {value!r}")
    return not value


def _given(value: Any, parameter: click.Parameter, where: str) -> Any:
    """Return a value as the command line would give it, so that it is checked as there."""
    if isinstance(value, dict):
        raise UsageError(f"{where}: expected a value, got a table; write {where.split()[-1]} = …")
    if isinstance(value, list):
        parts = [_given(part, parameter, where) for part in value]
        return parts if parameter.multiple else ",".join(map(str, parts))
    is_flag = isinstance(parameter, click.Option) and parameter.is_flag
    return value if is_flag and isinstance(value, bool) else str(value)
