"""Versions of everything that can change a sample: decoder, resampler, numerics."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import version

import numpy
import scipy

from manifests.audio import decoder_version
from manifests.reading import ReadOptions
from manifests.resample import resampler_version


@functools.lru_cache(maxsize=8)
def _tools(decoder: str, resampler: str) -> dict[str, str]:
    return {
        "decoder": decoder_version(decoder),
        "encoder": decoder_version("soundfile"),
        "resampler": resampler_version(resampler),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "machine": platform.machine(),
        "robust-tagger": version("robust-tagger"),
    }


def tools(read: ReadOptions) -> dict[str, str]:
    """Return the tool fingerprint of a set: names and versions, no host, no path."""
    return dict(_tools(read.decoder, read.resampler))
