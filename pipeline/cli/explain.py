"""``prep explain``: where one example comes from."""

from __future__ import annotations

import click

from manifests.canonical import pretty_json
from pipeline.cli.options import as_json
from pipeline.cli.visible import visible
from pipeline.frozen.explain import find_example, lineage_lines, lineage_record, render_members


@click.command("explain")
@click.argument("url", metavar="SET|RECIPE")
@click.argument("key", metavar="KEY")
@click.option("--render", metavar="DIR", help="Write its members as WAV files, from a set.")
@as_json
def explain_command(url: str, key: str, render: str | None, as_json: bool) -> None:
    """Show one example's lineage: sources, licences, spans, gains, achieved SNR, hashes."""
    lineage = find_example(url, key)
    written = render_members(url, key, render) if render else []
    if as_json:
        click.echo(pretty_json({**lineage_record(lineage), "written": written}), nl=False)
        return
    click.echo("\n".join(map(visible, lineage_lines(lineage))))
    for name in written:
        click.echo(f"written {render}/{name}")
