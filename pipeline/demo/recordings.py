"""Twenty recordings such as a phone makes: music in a room, with noise.

``metadata.csv`` holds the tags that a listener would give them, by MagnaTagATune's names, so that
taggers can be scored on recordings, not on mixes alone.
"""

from __future__ import annotations

from typing import Final

from pipeline.demo.encoding import Encoding
from pipeline.demo.noises import NOISES
from pipeline.demo.plans import AudioFile, CorpusPlan, MusicContent, RecordingContent
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import deal_traits, mtat_tags

_N_RECORDINGS: Final = 20
_KINDS: Final = tuple(NOISES)


def plan_recordings(seed: int) -> CorpusPlan:
    """Plan the recordings: 44.1 kHz mono WAV of about 5 s, 0 to 15 dB SNR.

    Args:
        seed: seed of the corpora.

    Returns:
        The plan; what noise there is, and how loud, stands nowhere.
    """
    rng = generator_for(seed, "recordings")
    files, rows = [], ["path,tags"]
    for i, traits in enumerate(deal_traits(_N_RECORDINGS, rng)):
        content = RecordingContent(
            music=MusicContent(traits, f"recordings/{i}"),
            kinds=(_KINDS[int(rng.integers(0, len(_KINDS)))],),
            snr_db=float(rng.uniform(0.0, 15.0)),
            t60_s=float(rng.uniform(0.25, 0.9)),
        )
        length_s = round(float(rng.uniform(4.8, 5.4)), 1)
        name = f"recording_{i:02d}.wav"
        files.append(AudioFile(name, content, length_s, Encoding("WAV", 44_100)))
        rows.append(f"{name},{'; '.join(mtat_tags(traits))}")
    texts = {"metadata.csv": "".join(f"{row}\n" for row in rows)}
    return CorpusPlan("recordings", "recordings", tuple(files), texts)
