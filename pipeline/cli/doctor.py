"""``prep doctor``: what this machine offers."""

from __future__ import annotations

import click

from manifests.canonical import pretty_json
from pipeline.cli.options import as_json
from pipeline.stages.doctor import examine


@click.command("doctor")
@as_json
@click.pass_context
def doctor(ctx: click.Context, /, as_json: bool) -> None:
    """Show versions, codecs, resamplers, programs, cores, CPU features and free space.

    Exit status 1 where something that a build needs is missing.
    """
    findings = examine()
    if as_json:
        record = {
            f.name: {"found": f.found, "ok": f.ok, "optional": f.optional, "hint": f.hint}
            for f in findings
        }
        click.echo(pretty_json(record), nl=False)
    else:
        width = max(len(f.name) for f in findings)
        for f in findings:
            mark = "ok " if f.ok else ("-- " if f.optional else "!! ")
            click.echo(f"{mark}{f.name:<{width}}  {f.found}{'; ' + f.hint if f.hint else ''}")
    if any(not f.ok and not f.optional for f in findings):
        ctx.exit(1)
