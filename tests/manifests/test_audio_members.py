"""Members of a set: encoded and decoded bit for bit, in whole or in part, and never trusted."""

from __future__ import annotations

import hashlib
import io
import struct
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_sounds import white

from manifests.audio import AudioError
from manifests.errors import UsageError
from manifests.member_audio import CODECS, decode_crop, decode_pcm, encode_pcm, pcm_sha256
from manifests.signal import Pcm, to_pcm

pcm_arrays = hnp.arrays(np.int16, st.integers(1, 6_000))
codecs = st.sampled_from(CODECS)


@pytest.fixture(scope="module")
def pcm() -> Pcm:
    return to_pcm(white(60_000, rms=0.2).clip(-0.99, 0.99))


@given(pcm_arrays, codecs)
@settings(deadline=None, max_examples=60)
def test_members_come_back_bit_for_bit(pcm: Pcm, codec: str) -> None:
    back, sample_rate = decode_pcm(encode_pcm(pcm, 22_050, codec), "n", pcm.size)
    assert sample_rate == 22_050
    assert back.dtype == np.int16
    assert np.array_equal(back, pcm)
    assert pcm_sha256(back) == pcm_sha256(pcm)


@pytest.mark.parametrize("codec", CODECS)
def test_encoding_is_the_same_every_time(pcm: Pcm, codec: str) -> None:
    assert encode_pcm(pcm, 22_050, codec) == encode_pcm(pcm.copy(), 22_050, codec)


def test_wav_is_read_by_the_standard_library(pcm: Pcm) -> None:
    with wave.open(io.BytesIO(encode_pcm(pcm, 22_050, "wav"))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22_050)
        assert file.readframes(pcm.size) == pcm.tobytes()


def test_flac_carries_the_md5_of_the_same_samples(pcm: Pcm) -> None:
    """STREAMINFO holds the MD5 of the samples at byte 26: an oracle inside every file."""
    data = encode_pcm(pcm, 22_050, "flac")
    assert data[26:42] == hashlib.md5(pcm.tobytes()).digest()


def test_unknown_codec_is_refused(pcm: Pcm) -> None:
    with pytest.raises(UsageError, match="codec 'mp3': expected one of flac, wav"):
        encode_pcm(pcm, 22_050, "mp3")


def test_pcm_sha256_is_over_little_endian_bytes() -> None:
    pcm = np.array([1, -2, 300], dtype=np.int16)
    expected = hashlib.sha256(struct.pack("<3h", 1, -2, 300)).hexdigest()
    assert pcm_sha256(pcm) == expected
    assert pcm_sha256(pcm.astype(">i2")) == expected


@given(st.data(), codecs)
@settings(deadline=None, max_examples=60)
def test_a_crop_is_the_slice_of_the_whole(data: st.DataObject, codec: str) -> None:
    pcm = np.random.default_rng(7).integers(-32_768, 32_767, 20_000).astype(np.int16)
    start = data.draw(st.integers(0, pcm.size))
    n_samples = data.draw(st.integers(0, pcm.size - start))
    crop = decode_crop(encode_pcm(pcm, 22_050, codec), "n", start, n_samples)
    assert crop.dtype == np.int16
    assert np.array_equal(crop, pcm[start : start + n_samples])


@pytest.mark.parametrize(("start", "n_samples"), [(-1, 10), (59_991, 10), (0, 60_001), (90_000, 1)])
def test_a_crop_beyond_the_member_is_refused(pcm: Pcm, start: int, n_samples: int) -> None:
    expected = f"^k.clean: expected samples {start} to {start + n_samples}, got 60000$"
    with pytest.raises(AudioError, match=expected) as caught:
        decode_crop(encode_pcm(pcm, 22_050, "flac"), "k.clean", start, n_samples)
    assert caught.value.reason == "truncated"


def member(signal: np.ndarray, container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, 22_050, format=container, subtype=subtype)
    return buffer.getvalue()


def test_stereo_and_other_codings_are_refused() -> None:
    stereo, mono = white(2_000).reshape(-1, 2), white(1_000)
    with pytest.raises(AudioError, match="k: expected 16-bit mono, got PCM_16 with 2 channels"):
        decode_pcm(member(stereo, "FLAC", "PCM_16"), "k")
    with pytest.raises(AudioError, match="k: expected 16-bit mono, got PCM_24 with 1 channels"):
        decode_pcm(member(mono, "FLAC", "PCM_24"), "k")
    with pytest.raises(AudioError, match="k: expected mono FLAC or WAV, got FLAC"):
        decode_crop(member(stereo, "FLAC", "PCM_16"), "k", 0, 10)
    with pytest.raises(AudioError, match="k: expected mono FLAC or WAV, got OGG"):
        decode_crop(member(mono, "OGG", "VORBIS"), "k", 0, 10)


@pytest.mark.parametrize("data", [b"", b"no audio at all", bytes(4_096)])
def test_bytes_that_are_no_audio_are_refused_without_an_address(data: bytes) -> None:
    for decode in (lambda: decode_pcm(data, "k"), lambda: decode_crop(data, "k", 0, 1)):
        with pytest.raises(AudioError) as caught:
            decode()
        assert caught.value.reason == "undecodable"
        assert str(caught.value).startswith("k: ")
        assert "0x" not in str(caught.value) and "BytesIO" not in str(caught.value)


@pytest.mark.parametrize("codec", CODECS)
def test_a_member_cut_short_is_refused(pcm: Pcm, codec: str) -> None:
    data = encode_pcm(pcm, 22_050, codec)
    with pytest.raises(AudioError, match=r"^k"):
        decode_pcm(data[: len(data) // 2], "k", pcm.size)
    with pytest.raises(AudioError, match=r"^k"):
        decode_crop(data[: len(data) // 2], "k", 50_000, 10_000)


def with_flac_length(data: bytes, n_samples: int) -> bytes:
    """Change the total samples (36 bits) in STREAMINFO, bytes 8 to 41 of a FLAC."""
    packed = int.from_bytes(data[18:26], "big")
    packed = packed >> 36 << 36 | n_samples
    return data[:18] + packed.to_bytes(8, "big") + data[26:]


def test_a_header_of_another_length_is_refused_before_decoding(
    pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = with_flac_length(encode_pcm(pcm, 22_050, "flac"), (1 << 36) - 1)
    with soundfile.SoundFile(io.BytesIO(bomb)) as sound:
        assert sound.frames == (1 << 36) - 1  # libsndfile believes it

    def read(*_: object, **__: object) -> None:
        raise AssertionError("decoded before its length was checked")

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    with pytest.raises(AudioError, match=r"^k: expected 60000 samples, got 68719476735$") as caught:
        decode_pcm(bomb, "k", pcm.size)
    assert caught.value.reason == "truncated"
    with pytest.raises(AudioError, match=r"^k: expected at most 1073741824 samples"):
        decode_pcm(bomb, "k")
    with pytest.raises(AudioError, match=r"^k: expected at most 1073741824 samples"):
        decode_pcm(bomb, "k", (1 << 36) - 1)


def test_an_audio_error_survives_the_way_back_from_a_worker() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(AudioError("changed", "a/b.wav: gone")))
    assert isinstance(error, AudioError)
    assert (error.reason, str(error)) == ("changed", "a/b.wav: gone")
