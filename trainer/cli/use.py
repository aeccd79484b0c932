"""``train tag`` and ``train embed``: a tagger on ordinary audio files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from manifests.audio import DECODERS
from manifests.errors import ManifestError, UsageError
from trainer.audio_files import file_chunks, predict_chunks, write_arrays
from trainer.cli.aggregate import AGGREGATE
from trainer.compute import open_compute
from trainer.config import Aggregation, SystemConfig
from trainer.runs.progress import Advance, show_progress
from trainer.tagger import Tagger, load_tagger

_CHECKPOINT = click.option(
    "--checkpoint",
    required=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run or checkpoint folder.",
)
_HEARS_LEVELS = (
    "train: {}: note: this tagger hears levels as they are (--input-level asis) and was trained at "
    "those of its shards, about 11 dB below ordinary files"
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
@AGGREGATE
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
    aggregate: Aggregation,
    decoder: str,
    device: str,
    as_json: bool,
) -> None:
    """Print the tags of audio files of any length and rate.

    A file's score is the mean over its whole chunks, of 2.7 s each for samplecnn, or weighted with --aggregate attention.
    Files that cannot be read are named, the others are tagged; exit status 1 where there was one.
    """
    tagger = load_tagger(checkpoint, aggregate)
    if tagger.hears_levels:
        click.echo(_HEARS_LEVELS.format(checkpoint), err=True)
    score = tagger.aggregate
    results = {}
    for url, probabilities, embeddings in _predicted(audio, tagger, decoder, device):
        scores = score(probabilities, embeddings)
        found = {tagger.tags[i]: round(float(scores[i]), 4) for i in np.argsort(-scores)}
        results[shown_name(url)] = found
        if not as_json:
            shown = ", ".join(f"{name} {score:.2f}" for name, score in list(found.items())[:top])
            click.echo(f"{shown_name(url)}: {shown}")
    if as_json:
        click.echo(json.dumps(results, indent=1))
    if len(results) < len(set(audio)):
        ctx.exit(1)


@click.command()
@click.argument("audio", nargs=-1, required=True, metavar="AUDIO...")
@_CHECKPOINT
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="NumPy archive (.npz): an array per file.",
)
@click.option("--per-chunk", is_flag=True, help="One embedding per chunk instead of their mean.")
@_DECODER
@_DEVICE
@click.pass_context
def embed(
    ctx: click.Context,
    /,
    audio: tuple[str, ...],
    checkpoint: Path,
    output: Path,
    per_chunk: bool,
    decoder: str,
    device: str,
) -> None:
    """Write the encoder's embeddings of audio files of any length and rate.

    Files that cannot be read are named and left out; exit status 1 where there was one.
    """
    tagger = load_tagger(checkpoint)

    def arrays() -> Iterator[tuple[str, NDArray[np.float32]]]:
        with show_progress("embed", len(set(audio))) as show:
            for url, _, embeddings in _predicted(audio, tagger, decoder, device, show):
                yield shown_name(url), embeddings if per_chunk else embeddings.mean(axis=0)

    n_written = write_arrays(output, arrays())
    if n_written:
        said = f"{shown_name(str(output))}: {n_written} files, {tagger.encoder.n_features} features"
        click.echo(said, err=not output.is_file())  # standard output may be what was written to
    if n_written < len(set(audio)):
        ctx.exit(1)


def shown_name(url: str) -> str:
    """Return a file's name as it can be printed and kept: bytes that are no UTF-8 are escaped."""
    return url.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _predicted(
    audio: tuple[str, ...],
    tagger: Tagger,
    decoder: str,
    device: str,
    show: Advance | None = None,
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield name, probabilities and embeddings of each file; name those that cannot be read."""
    with open_compute(SystemConfig(device=device)) as compute:
        predict = tagger.predict(compute.device)
        for number, url in enumerate(dict.fromkeys(audio), 1):
            found = []
            try:
                pieces = file_chunks(url, tagger, decoder)
                found = [predict_chunks(predict, chunks) for chunks in pieces]
            except UsageError:  # an option that no file can be read with
                raise
            except ManifestError as error:
                said = f"train: {shown_name(str(error))}\n"
                sys.stderr.write(said)  # above a progress bar, where there is one
            except OSError as error:
                said = f"train: {shown_name(url)}: cannot be read: {error.strerror or error}\n"
                sys.stderr.write(said)
            if found:
                probabilities, embeddings = zip(*found, strict=True)
                yield url, np.concatenate(probabilities), np.concatenate(embeddings)
            if show is not None:
                show(number, n_examples=1)
