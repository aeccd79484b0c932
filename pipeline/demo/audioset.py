"""AudioSet in little: 44 balanced-train and 44 evaluation segments of noise, some of music.

The segment lists, the class list and the ontology have the official form. Training audio is named
as in PANNs' copy (``Y<id>.wav``), evaluation audio as in DCASE's (``<id>_<start>_<end>.flac``), at
mixed sample rates, depths and channel counts. Some clips hold music and are labelled so; some have
vanished, as videos do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.demo.encoding import Encoding
from pipeline.demo.ontology import class_labels_csv, label_id, ontology_json
from pipeline.demo.plans import AudioFile, CorpusPlan, MusicContent, NoiseContent
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import Traits

_LABELS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (("babble",), ("Hubbub, speech noise, speech babble", "Chatter")),
    (("speech",), ("Speech",)),
    (("applause",), ("Applause", "Clapping")),
    (("rain",), ("Rain", "Rain on surface")),
    (("engine",), ("Engine", "Idling")),
    (("wind",), ("Wind",)),
    (("alarm",), ("Alarm", "Buzzer")),
    (("siren",), ("Siren",)),
    (("traffic",), ("Traffic noise, roadway noise", "Car", "Vehicle")),
    (("crowd",), ("Crowd", "Cheering")),
    (("vacuum",), ("Vacuum cleaner",)),
    (("waves",), ("Ocean", "Waves, surf")),
    (("speech", "traffic"), ("Speech", "Traffic noise, roadway noise")),
    (("crowd", "applause"), ("Crowd", "Applause")),
)
"""What is heard in a clip, and the classes by which it is labelled."""

_MUSICAL: Final[tuple[tuple[Traits, tuple[str, ...]], ...]] = (
    (Traits(("guitar",), "plain", "medium"), ("Music", "Guitar")),
    (Traits(("synth",), "techno", "fast", "loud"), ("Techno", "Electronic music")),
    (Traits(("strings",), "plain", "slow", "quiet", "choir"), ("Choir",)),
    (Traits(("piano",), "plain", "slow", "medium", "female"), ("Female singing", "Singing")),
    (Traits(("guitar",), "drums", "medium", "medium", "male"), ("Male singing", "Speech")),
    (Traits(("piano", "strings"), "ambient", "slow"), ("Music", "Crowd")),
)
"""Clips that a reader for noise has to drop: their labels lie under Music or Singing."""

_TRAIN_ENCODINGS: Final = (
    Encoding("WAV", 16_000), Encoding("WAV", 32_000), Encoding("WAV", 16_000),
    Encoding("WAV", 48_000), Encoding("WAV", 16_000), Encoding("WAV", 32_000),
    Encoding("WAV", 16_000), Encoding("WAV", 44_100, 2), Encoding("WAV", 16_000),
    Encoding("WAV", 32_000), Encoding("WAV", 16_000),
)  # fmt: skip
_EVAL_ENCODINGS: Final = (
    Encoding("FLAC", 44_100), Encoding("FLAC", 16_000), Encoding("FLAC", 32_000),
    Encoding("FLAC", 16_000), Encoding("FLAC", 48_000, 1, "PCM_24"), Encoding("FLAC", 16_000),
    Encoding("FLAC", 32_000), Encoding("FLAC", 16_000), Encoding("FLAC", 32_000, 2),
    Encoding("FLAC", 16_000), Encoding("FLAC", 32_000),
)  # fmt: skip
_N_SEGMENTS: Final = 44
_DURATIONS_S: Final = (5.0, 5.0, 5.0, 5.5, 5.0, 5.0, 6.0, 5.0, 5.0, 5.0, 10.0, 5.0, 5.0)
_ID_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CREATED: Final = "Sun Mar  5 10:54:31 2017"


@dataclass(frozen=True)
class _Segment:
    video_id: str
    start_s: float
    duration_s: float
    labels: tuple[str, ...]
    content: MusicContent | NoiseContent
    encoding: Encoding
    fate: str = ""

    @property
    def stop_s(self) -> float:
        return self.start_s + self.duration_s

    def row(self) -> str:
        mids = ",".join(sorted(label_id(name) for name in self.labels))
        return f'{self.video_id}, {self.start_s:.3f}, {self.stop_s:.3f}, "{mids}"\n'


def _panns_path(part: str, segment: _Segment) -> str:
    return f"{part}_segments/Y{segment.video_id}.wav"


def _dcase_path(part: str, segment: _Segment) -> str:
    name = f"{segment.video_id}_{segment.start_s:.3f}_{segment.stop_s:.3f}"
    return f"{part}_segments/{name}.flac"


def plan_audioset(seed: int, train_scale: int = 1) -> CorpusPlan:
    """Plan the corpus: segments, labels, ontology, and what is broken or has vanished.

    Args:
        seed: seed of the corpora.
        train_scale: factor on the training segments; those of the evaluation list stay as they are.

    Returns:
        The plan; audio is rendered later.
    """
    n_train = train_scale * _N_SEGMENTS
    broken = {5: "renamed", 17: "silent"}
    train = _segments(seed, "balanced_train", n_train, _TRAIN_ENCODINGS, broken)
    evaluation = _segments(seed, "eval", _N_SEGMENTS, _EVAL_ENCODINGS, {9: "empty"})
    texts = {
        "balanced_train_segments.csv": _segments_csv(train),
        "eval_segments.csv": _segments_csv(evaluation),
        "class_labels_indices.csv": class_labels_csv(),
        "ontology.json": ontology_json(),
    }
    present = [(_panns_path("balanced_train", segment), segment) for segment in train]
    present += [(_dcase_path("eval", segment), segment) for segment in evaluation]
    files = tuple(
        AudioFile(path, segment.content, segment.duration_s, segment.encoding, segment.fate)
        for path, segment in present
        if segment.fate != "missing"
    )
    # A file that is nowhere has no naming of its own; it is looked for under PANNs' name.
    missing = tuple(
        (_panns_path(part, segment), "missing")
        for part, segments in (("balanced_train", train), ("eval", evaluation))
        for segment in segments
        if segment.fate == "missing"
    )
    return CorpusPlan("audioset", "audioset", files, texts, missing)


def _segments(
    seed: int, part: str, n: int, encodings: tuple[Encoding, ...], broken: dict[int, str]
) -> tuple[_Segment, ...]:
    """Draw the segments of one list: every eighth is music, two have vanished."""
    rng = generator_for(seed, "audioset", part)
    fates = {**broken, 20: "missing", 33: "missing"}
    segments = []
    n_music = n_noise = 0
    for i in range(n):
        video_id = _video_id(rng, dash=i % 12 == 3)
        content: MusicContent | NoiseContent
        if i % 8 == 7:
            traits, labels = _MUSICAL[n_music % len(_MUSICAL)]
            content = MusicContent(traits, f"audioset/{video_id}")
            n_music += 1
        else:
            kinds, labels = _LABELS[n_noise % len(_LABELS)]
            content = NoiseContent(kinds)
            n_noise += 1
        if fates.get(i) == "silent":
            labels = ("Silence",)
        duration_s = _DURATIONS_S[i % len(_DURATIONS_S)]
        start_s = float(10 * rng.integers(0, 30))
        encoding = encodings[i % len(encodings)]
        fate = fates.get(i, "")
        segments.append(_Segment(video_id, start_s, duration_s, labels, content, encoding, fate))
    return tuple(sorted(segments, key=lambda segment: segment.video_id))


def _video_id(rng: np.random.Generator, dash: bool) -> str:
    """Draw eleven characters, as video ids are; some begin with a dash."""
    letters = "".join(_ID_LETTERS[i] for i in rng.integers(0, 62, 11))
    middle = int(rng.integers(2, 9))
    letters = letters[:middle] + _ID_LETTERS[int(rng.integers(0, 64))] + letters[middle + 1 :]
    return "-" + letters[1:] if dash else letters


def _segments_csv(segments: tuple[_Segment, ...]) -> str:
    labels = [name for segment in segments for name in segment.labels]
    counts = (
        f"num_ytids={len(segments)}, num_segs={len(segments)}, "
        f"num_unique_labels={len(set(labels))}, num_positive_labels={len(labels)}"
    )
    head = f"# Segments csv created {_CREATED}\n# {counts}\n"
    head += "# YTID, start_seconds, end_seconds, positive_labels\n"
    return head + "".join(segment.row() for segment in segments)
