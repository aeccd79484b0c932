"""What a corpus consists of before anything is rendered: audio files, texts, expected rejects."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.demo.breakage import broken_bytes, reject_reason
from pipeline.demo.encoding import Encoding, encode
from pipeline.demo.music import limited, render_song
from pipeline.demo.noises import render_noise
from pipeline.demo.oscillators import Signal, unit_rms
from pipeline.demo.rooms import record, room_response
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import Traits


@dataclass(frozen=True)
class MusicContent:
    """A clip of a song.

    Attributes:
        traits: what is heard.
        song: name of the song; clips of one song share tempo, key and chords.
    """

    traits: Traits
    song: str

    def render(self, seed: int, name: str, duration_s: float, encoding: Encoding) -> Signal:
        """Render the clip, shape (n, channels)."""
        return render_song(
            self.traits,
            duration_s,
            encoding.sample_rate,
            encoding.channels,
            generator_for(seed, "song", self.song),
            generator_for(seed, "clip", name),
        )


@dataclass(frozen=True)
class NoiseContent:
    """Noise without music; ``kinds`` are names out of ``noises.NOISES``."""

    kinds: tuple[str, ...]

    def render(self, seed: int, name: str, duration_s: float, encoding: Encoding) -> Signal:
        """Render the noise, shape (n, channels)."""
        rng = generator_for(seed, "clip", name)
        return render_noise(self.kinds, duration_s, encoding.sample_rate, encoding.channels, rng)


@dataclass(frozen=True)
class RecordingContent:
    """Music played in a room beside noise.

    Attributes:
        music: the song.
        kinds: kinds of noise.
        snr_db: level of the music over the noise, dB.
        t60_s: reverberation time of the room, seconds.
    """

    music: MusicContent
    kinds: tuple[str, ...]
    snr_db: float
    t60_s: float

    def render(self, seed: int, name: str, duration_s: float, encoding: Encoding) -> Signal:
        """Render the recording at -20 dBFS RMS, shape (n, 1)."""
        music = self.music.render(seed, name, duration_s, encoding)[:, 0]
        rng = generator_for(seed, "recording", name)
        noise = render_noise(self.kinds, duration_s, encoding.sample_rate, 1, rng)[:, 0]
        response = room_response(encoding.sample_rate, self.t60_s, rng)
        mix = record(music, noise, self.snr_db, encoding.sample_rate, response)
        return limited(0.1 * unit_rms(mix))[:, None]


@dataclass(frozen=True)
class AudioFile:
    """One audio file of a corpus.

    Attributes:
        path: path below the corpus folder, with ``/``.
        content: what it sounds like.
        duration_s: length of the intact file in seconds.
        encoding: container, rate, channels, coding.
        breakage: name out of ``breakage.BREAKAGES``; empty for an intact file.
        name: name that the random numbers are drawn from; the path where empty. Two files of one
            name, content and encoding have the same bytes.
    """

    path: str
    content: MusicContent | NoiseContent | RecordingContent
    duration_s: float
    encoding: Encoding
    breakage: str = ""
    name: str = ""

    def to_bytes(self, seed: int) -> bytes:
        """Render and encode the file; the same bytes on every call."""
        name = self.name or self.path
        waveform = self.content.render(seed, name, self.duration_s, self.encoding)
        if self.breakage:
            return broken_bytes(self.breakage, waveform, self.encoding)
        return encode(waveform, self.encoding)


@dataclass(frozen=True)
class CorpusPlan:
    """A corpus that is to be written.

    Attributes:
        corpus: name by which ``prep`` knows the corpus, or ``recordings``.
        folder: folder below the target directory.
        files: the audio files.
        texts: content of every other file by its path below the folder.
        other_rejects: (path, reason) of what is wrong beside broken audio files: ``ragged`` rows,
            by the path of their table, and ``missing`` files, which metadata alone name.
    """

    corpus: str
    folder: str
    files: tuple[AudioFile, ...]
    texts: dict[str, str]
    other_rejects: tuple[tuple[str, str], ...] = field(default=())

    @property
    def expected_rejects(self) -> tuple[tuple[str, str, str], ...]:
        """(corpus, path, reason) of everything that a scan must reject, sorted."""
        broken = tuple((f.path, reject_reason(f.breakage)) for f in self.files if f.breakage)
        return tuple((self.corpus, *row) for row in sorted(broken + self.other_rejects))
