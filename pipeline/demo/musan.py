"""MUSAN in little: 44 noises of 0.3 to 20 s, four talks, four pieces of music, 16 kHz WAV.

Folders, names, LICENSE and ANNOTATIONS files follow the official tar, down to its flaw:
``noise-sound-bible-0000.wav`` is in no LICENSE.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.demo.encoding import Encoding
from pipeline.demo.noises import NOISES
from pipeline.demo.plans import AudioFile, CorpusPlan, MusicContent, NoiseContent
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import Traits

_ENCODING: Final = Encoding("WAV", 16_000)
_N_FREE_SOUND: Final = 38
_N_SOUND_BIBLE: Final = 6
_KINDS: Final = tuple(kind for kind in NOISES if kind != "speech")
_RULE: Final = "=" * 72 + "\n"
_SHORT_S: Final = (0.3, 0.6, 1.0, 1.7, 2.4)
_LONG_S: Final = (20.0, 14.0, 10.0)
_BROKEN: Final = {11: "undecodable", 23: "silent"}

_MUSIC: Final = (
    ("fma", "music-fma-0000", "electronica N", Traits(("synth",), "techno", "fast", "loud")),
    ("fma-western-art", "music-fma-wa-0000", "westernart,baroque N",
     Traits(("harpsichord", "strings"))),
    ("hd-classical", "music-hd-0000", "westernart,romantic N", Traits(("piano",), "plain", "slow")),
    ("rfm", "music-rfm-0000", "pop Y", Traits(("guitar",), "drums", voice="female")),
)  # fmt: skip


def plan_musan(seed: int) -> CorpusPlan:
    """Plan the corpus: noise, speech, music, their licences and annotations, two broken files.

    Args:
        seed: seed of the corpora.

    Returns:
        The plan; audio is rendered later.
    """
    files = (*_noise_files(seed), *_speech_files(), *_music_files())
    return CorpusPlan("musan", "musan", files, _texts())


def _durations_s(rng: np.random.Generator) -> list[float]:
    """Draw lengths that lean to the short side, as MUSAN's do."""
    n_drawn = _N_FREE_SOUND + _N_SOUND_BIBLE - len(_SHORT_S) - len(_LONG_S)
    drawn = [round(float(3.0 + rng.exponential(2.0)), 2) for _ in range(n_drawn)]
    return [*_SHORT_S, *_LONG_S, *(min(length, 9.0) for length in drawn)]


def _noise_files(seed: int) -> tuple[AudioFile, ...]:
    rng = generator_for(seed, "musan", "noise")
    lengths = _durations_s(rng)
    order = rng.permutation(len(lengths))
    files = []
    for i in range(_N_FREE_SOUND + _N_SOUND_BIBLE):
        folder, number = (
            ("free-sound", i) if i < _N_FREE_SOUND else ("sound-bible", i - _N_FREE_SOUND)
        )
        path = f"noise/{folder}/noise-{folder}-{number:04d}.wav"
        content = NoiseContent((_KINDS[i % len(_KINDS)],))
        length_s = 4.0 if i in _BROKEN else lengths[order[i]]
        files.append(AudioFile(path, content, length_s, _ENCODING, _BROKEN.get(i, "")))
    return tuple(files)


def _speech_files() -> tuple[AudioFile, ...]:
    names = [("librivox", 0), ("librivox", 1), ("us-gov", 0), ("us-gov", 1)]
    return tuple(
        AudioFile(
            f"speech/{folder}/speech-{folder}-{number:04d}.wav",
            NoiseContent(("speech",)),
            6.0,
            _ENCODING,
        )
        for folder, number in names
    )


def _music_files() -> tuple[AudioFile, ...]:
    return tuple(
        AudioFile(
            f"music/{folder}/{name}.wav", MusicContent(traits, f"musan/{name}"), 6.0, _ENCODING
        )
        for folder, name, _, traits in _MUSIC
    )


def _texts() -> dict[str, str]:
    background = "".join(f"noise-free-sound-{i:04d}\n" for i in range(0, _N_FREE_SOUND, 3))
    # The first file of sound-bible has no entry here, as in the official LICENSE.
    sound_bible = "".join(
        f"noise-sound-bible-{i:04d}\nTitle: Demo Noise {i}\nLicense: "
        f"{'Attribution 3.0' if i % 2 else 'Public Domain'}\nRecorded by nobody\n"
        f"https://example.org/sounds/{i}\n{_RULE}"
        for i in range(1, _N_SOUND_BIBLE)
    )
    texts = {
        "README": "The synthetic stand-in of the MUSAN corpus: music, speech and noise.\n",
        "noise/README": "This directory contains the noise portion of the corpus.\n",
        "speech/README": "This is the speech portion of the corpus.\n",
        "music/README": "This directory contains the music portion of the corpus.\n",
        "noise/free-sound/LICENSE": (
            "All selected recordings were marked as in the Public Domain\n"
            "on Free Sound (url: https://www.freesound.org/).\n"
        ),
        "noise/free-sound/ANNOTATIONS": "Background noises:\n" + background,
        "noise/sound-bible/LICENSE": sound_bible,
        "speech/librivox/LICENSE": "All LibriVox recordings are\nin the Public Domain.\n",
        "speech/librivox/ANNOTATIONS": (
            "speech-librivox-0000 m english\nspeech-librivox-0001 f english\n"
        ),
        "speech/us-gov/LICENSE": "US government hearings that are in the US Public Domain.\n",
    }
    for folder, name, annotation, _ in _MUSIC:
        texts[f"music/{folder}/LICENSE"] = (
            f"{name}\nCC BY-SA 4.0\nhttps://example.org/music\n{_RULE}"
        )
        texts[f"music/{folder}/ANNOTATIONS"] = f"{name} {annotation} Nobody\n"
    return texts
