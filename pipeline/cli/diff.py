"""``prep diff``: what differs between two sets or recipes."""

from __future__ import annotations

from dataclasses import asdict

import click

from manifests.canonical import pretty_json
from pipeline.cli.options import as_json
from pipeline.cli.visible import visible
from pipeline.frozen.diff import diff_lines, diff_views
from pipeline.frozen.view import load_view


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@as_json
@click.pass_context
def diff_command(ctx: click.Context, /, first: str, second: str, as_json: bool) -> None:
    """Show what differs from set or recipe A to B: examples, tags, noises, gains, samples, tools.

    Exit status 0 where nothing does (other tools alone do not count), 1 where something does.
    """
    found = diff_views(load_view(first), load_view(second))
    if as_json:
        click.echo(pretty_json({**asdict(found), "same": found.same}), nl=False)
    else:
        click.echo("\n".join(map(visible, diff_lines(found))))
    if not found.same:
        ctx.exit(1)
