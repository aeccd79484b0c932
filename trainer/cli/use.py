"""``train tag`` and ``train embed``: a tagger on ordinary audio files."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from manifests.audio import DECODERS
from manifests.errors import ManifestError
from trainer.compute import open_compute
from trainer.config import SystemConfig
from trainer.tagger import file_chunks, load_tagger

_CHECKPOINT = click.option(
    "--checkpoint",
    required=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run or checkpoint folder.",
)
_DECODER = click.option(
    "--decoder",
    type=click.Choice(DECODERS),
    default="soundfile",
    show_default=True,
    help="Decoder of the files.",
)
_DEVICE = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
)


@click.command()
@click.argument("audio", nargs=-1, required=True, metavar="AUDIO...")
@_CHECKPOINT
@click.option(
    "--top",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Tags to show of each file.",
)
@_DECODER
@_DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON with all tags.")
@click.pass_context
def tag(
    ctx: click.Context,
    /,
    audio: tuple[str, ...],
    checkpoint: Path,
    top: int,
    decoder: str,
    device: str,
    as_json: bool,
) -> None:
    """Print the tags of audio files of any length and rate.

    A file's score is the mean over its whole chunks of 2.7 s. Files that cannot be read are named,
    the others are tagged; exit status 1 where there was one.
    """
    tagger = load_tagger(checkpoint)
    results, failed = {}, False
    with open_compute(SystemConfig(device=device)) as compute:
        predict = tagger.predict(compute.device)
        for url in audio:
            try:
                probabilities, _ = predict(file_chunks(url, tagger, decoder))
            except ManifestError as error:
                click.echo(f"train: {error}", err=True)
                failed = True
                continue
            scores = probabilities.mean(axis=0)
            order = np.argsort(-scores)
            results[url] = {tagger.tags[i]: round(float(scores[i]), 4) for i in order}
    if as_json:
        click.echo(json.dumps(results, indent=1))
    for url, found in {} if as_json else results.items():
        shown = ", ".join(f"{name} {score:.2f}" for name, score in list(found.items())[:top])
        click.echo(f"{url}: {shown}")
    if failed:
        ctx.exit(1)


@click.command()
@click.argument("audio", nargs=-1, required=True, metavar="AUDIO...")
@_CHECKPOINT
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="NumPy archive (.npz): an array per file.",
)
@click.option("--per-chunk", is_flag=True, help="One embedding per chunk instead of their mean.")
@_DECODER
@_DEVICE
def embed(
    audio: tuple[str, ...],
    checkpoint: Path,
    output: Path,
    per_chunk: bool,
    decoder: str,
    device: str,
) -> None:
    """Write the encoder's embeddings of audio files of any length and rate."""
    tagger = load_tagger(checkpoint)
    arrays = {}
    with open_compute(SystemConfig(device=device)) as compute:
        predict = tagger.predict(compute.device)
        for url in audio:
            _, embeddings = predict(file_chunks(url, tagger, decoder))
            arrays[url] = embeddings if per_chunk else embeddings.mean(axis=0)
    with output.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    size = next(iter(arrays.values())).shape[-1]
    click.echo(f"{output}: {len(arrays)} files, {size} features")
