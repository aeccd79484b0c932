"""Perturbed versions of a clip, heard as further members beside those of the set.

A perturbation changes the whole ``clean`` (or ``audio``) member, before it is cut into chunks: a
compressor's level follows what came before, and a stretched chunk would be none. A clip that is
played faster so has fewer chunks, as it would have as a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from manifests.errors import ManifestError
from manifests.keys import AUDIO, CLEAN
from manifests.signal import Pcm, from_pcm
from trainer.data.index import ExampleRef
from trainer.perturb.apply import apply_perturbation
from trainer.perturb.perturbation import Perturbation


def perturbed(
    ref: ExampleRef, pcm: Mapping[str, Pcm], perturbations: Sequence[Perturbation]
) -> Iterator[tuple[str, NDArray[np.float32], float | None]]:
    """Yield the name of each perturbation, the waveform (n_samples,), and the SNR of added noise.

    Args:
        ref: the example.
        pcm: its members; ``clean`` or ``audio`` is among them where there are perturbations.
        perturbations: what is done.

    Raises:
        ManifestError: the clip cannot be perturbed; the message names shard and example.
    """
    for item in perturbations:
        signal = from_pcm(pcm[CLEAN if CLEAN in pcm else AUDIO])
        try:
            heard, snr_db = apply_perturbation(
                item, signal, key=ref.key, gain_db=ref.gain_db, band_hz=ref.band_hz
            )
        except ManifestError as error:
            raise ManifestError(f"{ref.shard_url}: {error}") from error
        yield item.name, heard.astype(np.float32), snr_db
