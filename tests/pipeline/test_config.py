"""The configuration of a set: defaults, limits, and what changes bytes."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from manifests.errors import UsageError
from pipeline.config import RunOptions, SetConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split": "dev"}, "--split: expected train, valid, test or all, got dev"),
        ({"noises": 3}, "--noises: expected 1, 2 or 4, got 3"),
        ({"halves": "some"}, "halves: expected auto, both, target, none, got some"),
        ({"codec": "mp3"}, "--codec: expected flac, wav, got mp3"),
        ({"resampler": "magic"}, "--resampler: expected soxr, sox, torchaudio, got magic"),
        ({"decoder": "ear"}, "--decoder: expected soundfile, ffmpeg, got ear"),
        ({"examples_per_shard": 0}, "--examples-per-shard: expected 1 or more, got 0"),
        ({"excerpts_per_track": 0}, "--excerpts-per-track: expected 1 or more, got 0"),
        ({"limit": 0}, "--limit: expected 1 or more, got 0"),
        ({"seed": -1}, "--seed: expected 0 to 2**63 - 1, got -1"),
        ({"snrs_db": (5.0, 5.0)}, "--snr: expected different values"),
        ({"snrs_db": (0.0, -0.0)}, "--snr: expected different values"),
        ({"snrs_db": (61.0,)}, "--snr: expected -60 to 60 dB"),
        ({"snrs_db": (float("nan"),)}, "--snr: expected -60 to 60 dB"),
        ({"snrs_db": (float("inf"),)}, "--snr: expected -60 to 60 dB"),
        ({"snrs_db": (0.001, 0.002)}, "--snr: expected at most two decimals"),
        ({"snrs_db": (), "noise": ("musan",)}, "--snr: expected at least one"),
        ({"excerpt_s": "soon"}, "--excerpt-s: expected auto, whole or at least 2.678 seconds"),
        ({"excerpt_s": "2.6"}, "--excerpt-s: expected auto, whole or at least 2.678 seconds"),
        ({"excerpt_s": "nan"}, "--excerpt-s: expected auto, whole or at least 2.678 seconds"),
        ({"excerpt_s": "inf"}, "--excerpt-s: expected auto, whole or at least 2.678 seconds"),
        ({"band_limit": "wide"}, "--band-limit: expected auto, off or 1000 to 11025 Hz, got wide"),
        ({"band_limit": "999"}, "--band-limit: expected auto, off or 1000 to 11025 Hz, got 999"),
        ({"band_limit": "11026"}, "--band-limit: expected auto, off or 1000 to 11025 Hz"),
        ({"band_limit": "nan"}, "--band-limit: expected auto, off or 1000 to 11025 Hz, got nan"),
    ],
)
def test_values_that_make_no_set_are_refused_with_what_would(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        SetConfig(**values)
    assert str(caught.value).startswith(message)


def test_defaults_are_those_of_the_method() -> None:
    config = SetConfig()
    assert config.snrs_db == (10.0, 5.0, 0.0, -5.0, -10.0)
    assert (config.noises, config.codec, config.resampler) == (1, "flac", "soxr")
    assert (config.excerpt_s, config.excerpts_per_track, config.band_limit) == ("auto", 1, "auto")
    assert config.min_duration_s == 2.678
    run = RunOptions()
    assert (run.max_reject_percent, run.audit, run.overwrite) == (5.0, True, False)


@pytest.mark.parametrize(
    ("excerpt_s", "clip_s", "expected_s"),
    [("auto", 29.1, 29.1), ("auto", 60.0, 60.0), ("auto", 61.0, 30.0), ("whole", 400.0, 400.0),
     ("2.678", 10.0, 2.678), ("10", 5.0, 5.0), ("10.5", 50.0, 10.5)],
)  # fmt: skip
def test_length_of_an_excerpt(excerpt_s: str, clip_s: float, expected_s: float) -> None:
    n_samples = SetConfig(excerpt_s=excerpt_s).excerpt_samples(round(clip_s * 22_050))
    assert n_samples == round(expected_s * 22_050)


@pytest.mark.parametrize(
    ("halves", "split", "expected"),
    [("auto", "train", True), ("auto", "valid", False), ("auto", "test", False),
     ("both", "test", True), ("none", "train", False), ("target", "train", False)],
)  # fmt: skip
def test_which_sets_have_halves(halves: str, split: str, expected: bool) -> None:
    assert SetConfig(halves=halves, split=split).has_halves is expected


def test_members_stand_in_the_order_of_the_snrs() -> None:
    config = SetConfig(noise=("musan",), snrs_db=(-10.0, 2.5, 0.0))
    assert config.members == ("clean", "noisy.snr_-10", "noisy.snr_2.5", "noisy.snr_0")
    assert SetConfig().members == ("audio",)


def test_identity_is_plain_json_with_every_field_and_no_run_option() -> None:
    config = SetConfig(noise=("musan",), limit=5, corpus_options={"musan_subset": "noise"})
    identity = config.identity(7200.0)
    assert identity.keys() == {f.name for f in fields(SetConfig)} | {"band_hz"}
    assert identity["band_hz"] == 7200.0 and identity["limit"] == 5
    assert not identity.keys() & {f.name for f in fields(RunOptions)}
    assert json.loads(json.dumps(identity, allow_nan=False))["snrs_db"] == [10, 5, 0, -5, -10]


def test_identity_of_recordings_has_no_snrs() -> None:
    assert SetConfig().identity(None)["snrs_db"] == ()


def test_read_options_carry_the_resolved_band() -> None:
    options = replace(SetConfig(), resampler="sox", keep_dc=True).read_options(7000.0)
    assert (options.resampler, options.keep_dc, options.band_hz) == ("sox", True, 7000.0)
