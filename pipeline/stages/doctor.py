"""Examine the machine: is everything there that a build needs, and how fast may it be?"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import joblib
import numpy as np

from manifests.audio import decoder_version
from manifests.errors import ManifestError
from manifests.extras import how_to_install
from manifests.member_audio import CODECS, decode_pcm, encode_pcm
from manifests.resample import RESAMPLERS, resample, resampler_version
from manifests.rows import SAMPLE_RATE
from pipeline.scan_cache import cache_folder

PACKAGES: Final = (
    "torch", "torchaudio", "webdataset", "sox", "pandas", "pyarrow", "joblib", "click",
    "soundfile", "soxr", "fsspec", "numpy", "scipy", "scikit-learn", "safetensors",
)  # fmt: skip
EXTRAS: Final = {"distributed": "dask", "s3fs": "s3", "onnxruntime": "onnx"}
FEATURES: Final = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "sha_ni")


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        name: what was looked at.
        found: what was found.
        ok: whether it serves.
        optional: a build works without it.
        hint: what to do where it does not.
    """

    name: str
    found: str
    ok: bool = True
    optional: bool = False
    hint: str = ""


def examine() -> list[Finding]:
    """Look at packages, codecs, resamplers, programs and the machine."""
    return [
        Finding("robust-tagger", version("robust-tagger")),
        Finding("python", platform.python_version()),
        *(_package(name) for name in PACKAGES),
        *(_package(name, extra) for name, extra in EXTRAS.items()),
        Finding("decoder", decoder_version("soundfile")),
        *(_codec(codec) for codec in CODECS),
        *(_resampler(engine) for engine in RESAMPLERS),
        *(_program(name) for name in ("sox", "ffmpeg")),
        Finding("cores", str(joblib.cpu_count())),
        Finding("cpu features", ", ".join(_features()) or "unknown"),
        Finding("cuda", *_cuda()),
        Finding("free space here", _free_space(Path.cwd())),
        Finding("scan cache", f"{_cache()} (set ROBUST_TAGGER_CACHE to move it)"),
    ]


def _cache() -> str:
    try:
        return str(cache_folder())
    except RuntimeError:  # neither HOME nor an entry for this user, as in a container
        return "none, as no home folder is known"


def _package(name: str, extra: str | None = None) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        hint = how_to_install(extra) if extra else f"pip install '{name}'"
        return Finding(name, "not found", False, extra is not None, hint)


def _codec(codec: str) -> Finding:
    pcm = np.arange(-5000, 5000, dtype=np.int16)
    try:
        back, _ = decode_pcm(encode_pcm(pcm, SAMPLE_RATE, codec), codec)
    except (ManifestError, RuntimeError) as error:
        return Finding(f"codec {codec}", f"fails: {error}", False, hint="reinstall soundfile")
    lossless = np.array_equal(pcm, back)
    return Finding(f"codec {codec}", "lossless round trip" if lossless else "loses bits", lossless)


def _resampler(engine: str) -> Finding:
    name = f"resampler {engine}"
    try:
        resample(np.zeros(4410), 44_100, SAMPLE_RATE, engine)
    except (ManifestError, ImportError, OSError) as error:
        return Finding(name, str(error), ok=False, optional=engine != "soxr")
    return Finding(name, resampler_version(engine))


def _program(name: str) -> Finding:
    if path := shutil.which(name):
        return Finding(f"program {name}", path)
    hint = f"optional; Debian and Ubuntu: apt-get install {name}"
    return Finding(f"program {name}", "not found", ok=False, optional=True, hint=hint)


def _features() -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    flags = set(text.split())
    return [feature for feature in FEATURES if feature in flags]


def _cuda() -> tuple[str, bool, bool]:
    if importlib.util.find_spec("torch") is None:
        return "torch not found", False, True
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0), True, True
    return "no device; training runs on the CPU", False, True


def _free_space(path: Path) -> str:
    free = shutil.disk_usage(path).free
    writable = "" if os.access(path, os.W_OK) else ", not writable"
    return f"{free / 1e9:,.0f} GB{writable}"
