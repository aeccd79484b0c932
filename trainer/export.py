"""A tagger as one file for other programs: ONNX or TorchScript, audio in, tag probabilities out.

Chunks go in and scores of chunks come out, so that files of any length need little memory. A tagger
with attention gives a second output: its scores a, of which the weights of chunks are exp(a).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import torch
from torch import nn

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import UsageError
from manifests.extras import how_to_install
from trainer.tagger import Tagger

FORMATS: Final = ("onnx", "torchscript")
WEIGHTED: Final = "sum of exp(attention) * probabilities / sum of exp(attention), over the chunks"


class ChunkTagger(nn.Module):
    """Level, encoder and heads in one module: (B, 1, chunk) to one or two (B, n_tags)."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.encoder, self.predictor = tagger.encoder.cpu(), tagger.predictor.cpu()
        self.pooling = None if tagger.pooling is None else tagger.pooling.cpu()
        self.prepare: Callable[[torch.Tensor], torch.Tensor] = tagger.prepare

    def forward(self, audio: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return tag probabilities of chunks, and the attention's scores where it has one."""
        embeddings = self.encoder(self.prepare(audio))
        probabilities = torch.sigmoid(self.predictor(embeddings))
        if self.pooling is None:
            return probabilities
        return probabilities, self.pooling.scores(embeddings)


def export_tagger(tagger: Tagger, path: Path, format_name: str) -> int:
    """Write a tagger as ONNX or TorchScript, and ``PATH.json`` with tags, rate and band.

    Any number of chunks goes in at once. The caller resamples to 22,050 Hz, applies the band limit
    and makes a file's score of those of its chunks, as the card says. A pipe or device is written
    to as it is, and has no card: nothing lies beside it.

    Args:
        tagger: a trained tagger.
        path: file to write.
        format_name: ``onnx`` or ``torchscript``.

    Returns:
        Bytes of the tagger.

    Raises:
        UsageError: another format, or the packages of ONNX are missing.
        ManifestError: the file cannot be written.
    """
    if format_name not in FORMATS:
        raise UsageError(f"--format: expected {' or '.join(FORMATS)}, got {format_name}")
    model = ChunkTagger(tagger).eval().requires_grad_(False)  # TorchScript keeps what asks for one
    chunk = tagger.encoder.chunk_samples
    example = torch.zeros(2, 1, chunk).uniform_(-0.1, 0.1)
    outputs = ["probabilities"] if tagger.pooling is None else ["probabilities", "attention"]
    data = _onnx(model, example, outputs) if format_name == "onnx" else _torchscript(model, example)
    shape = ["n_chunks", len(tagger.tags)]
    card = {
        "format": format_name,
        "input": {"name": "audio", "shape": ["n_chunks", 1, chunk]},
        "output": {"name": "probabilities", "shape": shape},
        "file_score": "mean of probabilities over the chunks",
        "backbone": tagger.encoder.name,
        "sample_rate": tagger.encoder.sample_rate,
        "band_hz": tagger.band_hz,
        "tags": list(tagger.tags),
        "weights_sha256": tagger.sha256,
    }
    if tagger.pooling is not None:
        card |= {"attention": {"name": "attention", "shape": shape}, "file_score": WEIGHTED}
    store.write_bytes(str(path), data)
    if path.is_file():
        store.write_text(f"{path}.json", pretty_json(card))
    return len(data)


def _onnx(model: nn.Module, example: torch.Tensor, outputs: list[str]) -> bytes:
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--format onnx: {how_to_install('onnx')}") from error
    n_chunks = torch.export.Dim("n_chunks", min=1)
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        program = torch.onnx.export(
            model,
            (example,),
            input_names=["audio"],
            output_names=outputs,
            dynamic_shapes=({0: n_chunks},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise UsageError("--format onnx: torch gave no program; try --format torchscript")
    serialized: bytes = program.model_proto.SerializeToString()
    return serialized


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Hold back a logger's warnings: the exporter lists packages that this model does not need."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _torchscript(model: nn.Module, example: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, example)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
    return buffer.getvalue()
