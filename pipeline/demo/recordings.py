"""Twenty recordings such as a phone makes: music in a room, with noise, without any label."""

from __future__ import annotations

from typing import Final

from pipeline.demo.encoding import Encoding
from pipeline.demo.noises import NOISES
from pipeline.demo.plans import AudioFile, CorpusPlan, MusicContent, RecordingContent
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import deal_traits

_N_RECORDINGS: Final = 20
_KINDS: Final = tuple(NOISES)


def plan_recordings(seed: int) -> CorpusPlan:
    """Plan the recordings: 44.1 kHz mono WAV of about 5 s, 0 to 15 dB SNR.

    Args:
        seed: seed of the corpora.

    Returns:
        The plan; there are no texts, since nothing is known of a recording.
    """
    rng = generator_for(seed, "recordings")
    files = []
    for i, traits in enumerate(deal_traits(_N_RECORDINGS, rng)):
        content = RecordingContent(
            music=MusicContent(traits, f"recordings/{i}"),
            kinds=(_KINDS[int(rng.integers(0, len(_KINDS)))],),
            snr_db=float(rng.uniform(0.0, 15.0)),
            t60_s=float(rng.uniform(0.25, 0.9)),
        )
        length_s = round(float(rng.uniform(4.8, 5.4)), 1)
        files.append(
            AudioFile(f"recording_{i:02d}.wav", content, length_s, Encoding("WAV", 44_100))
        )
    return CorpusPlan("recordings", "recordings", tuple(files), {})
