"""``prep thaw``: a recipe and one's own copies -> the same samples, and the proof."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import click

from manifests import store
from manifests.canonical import canonical_json, pretty_json
from manifests.errors import ManifestError, UsageError
from manifests.subset import Subset, write_subset
from manifests.tables import write_table
from pipeline.cli.frozen_options import (
    check_scheduler,
    corpus_roots,
    frozen_roots,
    given_corpus_options,
)
from pipeline.cli.options import apply, as_json, cores, run_options
from pipeline.cli.set_options import corpus_options
from pipeline.cli.text import counted
from pipeline.frozen.match import Match
from pipeline.frozen.subset import accepted_subset, load_subset
from pipeline.frozen.untrusted import printable
from pipeline.frozen.verdict import ACCEPTS, IDENTICAL, ExampleVerdict
from pipeline.progress import reporter
from pipeline.stages.match import Matched, ThawOptions, match_recipe
from pipeline.stages.thaw import Thawed, thaw_recipe

_SHOWN = 20


@click.command("thaw")
@click.argument("recipe", metavar="NAME.v1")
@apply(corpus_roots)
@click.option("--out", metavar="SET", help="Folder or fsspec URL of the set.")
@click.option(
    "--accept",
    type=click.Choice(list(ACCEPTS)),
    default=IDENTICAL,
    show_default=True,
    help="Verdict up to which an example goes into the set.",
)
@click.option("--subset", metavar="FILE", help="Thaw the examples of a subset only.")
@click.option(
    "--common-subset",
    is_flag=True,
    help="Write ./NAME.v1.subset.json: the examples that were accepted here.",
)
@click.option(
    "--table", metavar="TABLE", help="Write the verdict on every example (.parquet or .csv)."
)
@click.option(
    "--match-only", is_flag=True, help="Find the sources and say what is there; render nothing."
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace another set that is there; of this thaw, hash all files and render anew where "
    "one is damaged.",
)
@apply(corpus_options)
@apply(run_options)
@as_json
@click.pass_context
def thaw_command(
    ctx: click.Context,
    /,
    recipe: str,
    music: tuple[str, ...],
    noise: tuple[str, ...],
    metadata: tuple[str, ...],
    out: str | None,
    accept: str,
    subset: str | None,
    common_subset: bool,
    table: str | None,
    match_only: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Rebuild a frozen set from your own copies of its corpora, with the recipe's gains.

    Sources are found by name, then by content, then by sound. Every example gets a verdict on its samples
    (identical, 1lsb, differs, missing) and the state of its sources (same, retagged, other,
    missing). The set holds what is accepted. Exit status 0 where that is every example.
    """
    _check_options(out, table, match_only, common_subset, values)
    options = ThawOptions(
        accept=accept,
        subset=load_subset(subset) if subset else None,
        jobs=values["jobs"] or cores(),
        engine=values["engine"],
        scheduler=values["scheduler"],
        overwrite=values["overwrite"],
    )
    roots = frozen_roots(music, noise, metadata, given_corpus_options(values))
    show = reporter(quiet=as_json)
    if match_only:
        matched = match_recipe(recipe, roots, options, reporter=show)
        _say_matched(matched, as_json)
        if any(match.state != "same" for match in matched.matches.values()):
            ctx.exit(1)
        return
    thawed = thaw_recipe(
        recipe,
        out or "",
        roots,
        options,
        say=lambda line: None if as_json else click.echo(line, err=True),
        reporter=show,
    )
    if table:
        write_table(table, thawed.verdicts, ExampleVerdict)
    written, refused = None, None
    try:
        if common_subset and thawed.tally.n_accepted:
            written = _write_common(thawed)
    except ManifestError as error:  # said below what was found: it took long
        refused = error
    if as_json:
        click.echo(pretty_json(_record(thawed, written)), nl=False)
    else:
        click.echo("\n".join(_lines(thawed, written)))
    if refused:
        raise refused
    if not thawed.tally.complete:
        ctx.exit(1)


def _check_options(
    out: str | None,
    table: str | None,
    match_only: bool,
    common_subset: bool,
    values: dict[str, Any],
) -> None:
    check_scheduler(values["engine"], values["scheduler"])
    if out is None and not match_only:
        raise UsageError("--out SET: expected a folder for the set, or --match-only")
    given = {
        "--out": out,
        "--table": table,
        "--common-subset": common_subset,
        "--overwrite": values["overwrite"],
    }
    if match_only and any(given.values()):
        shown = ", ".join(name for name, value in given.items() if value)
        raise UsageError(f"--match-only: renders and writes nothing; leave out {shown}")
    if table and not table.endswith((".parquet", ".csv")):
        raise UsageError(f"--table {table}: expected a name that ends in .parquet or .csv")


def _write_common(thawed: Thawed) -> tuple[str, Subset]:
    found = accepted_subset(thawed.recipe_id, thawed.accept, thawed.verdicts)
    path = f"{thawed.name}.subset.json"
    text = canonical_json(found) + "\n"
    if store.exists(path) and store.read_bytes(path) != text.encode():
        raise ManifestError(
            f"{path}: expected no file or this very subset, found another, perhaps the other "
            "team's; move it away, or run the command in another folder"
        )
    write_subset(path, found)
    return path, found


def _record(thawed: Thawed, written: tuple[str, Subset] | None) -> dict[str, Any]:
    subset = {"file": written[0], "subset_id": written[1].subset_id} if written else None
    return {**asdict(thawed), "complete": thawed.tally.complete, "common_subset": subset}


def _lines(thawed: Thawed, written: tuple[str, Subset] | None) -> list[str]:
    """Return the verdicts for people: those that are not accepted first, by name."""
    taken = ACCEPTS[thawed.accept]
    refused = [v for v in thawed.verdicts if v.verdict not in taken]
    lines = [
        f"{v.key}: {v.verdict}; source {v.source}; {printable(v.detail)}" for v in refused[:_SHOWN]
    ]
    if len(refused) > _SHOWN:
        lines.append(f"… and {len(refused) - _SHOWN:,} more (--table lists all)")
    one_lsb = sum(v.verdict == "1lsb" for v in refused)
    lines += [
        f"{thawed.name}: {thawed.tally.n_accepted:,} of {thawed.tally.n_examples:,} examples "
        f"accepted ({thawed.accept}): {counted(thawed.tally.verdicts)}",
        f"  sources: {counted(thawed.tally.sources)}",
        f"  recipe id {thawed.recipe_id}",
    ]
    if one_lsb:
        lines.append(f"  {one_lsb:,} examples are within 1 LSB: --accept 1lsb takes them")
    if thawed.n_resumed:
        lines.append(f"  {thawed.n_resumed} shards were already done")
    if written:
        path, subset = written
        lines.append(f"  {path}: {len(subset.keys):,} examples, subset id {subset.subset_id}")
    return [*lines, f"  {thawed.out or 'no set: no example was accepted'}"]


def _say_matched(matched: Matched, as_json: bool) -> None:
    matches = [matched.matches[item.source.key] for item in matched.wanted]
    if as_json:
        record = {
            "recipe_id": matched.recipe.header.recipe_id,
            "notes": list(matched.notes),
            "states": dict(Counter(match.state for match in matches)),
            "sources": [asdict(match) for match in matches],
        }
        click.echo(pretty_json(record), nl=False)
        return
    for line in matched.notes:
        click.echo(line)
    for match in [match for match in matches if match.state != "same"][:_SHOWN]:
        click.echo(_match_line(match))


def _match_line(match: Match) -> str:
    found = f" {match.path}" if match.path else ""
    detail = f": {printable(match.detail)}" if match.detail else ""
    return f"  {match.corpus} {printable(match.clip_id)}: {match.state}{printable(found)}{detail}"
