"""Traits of demo songs: dealt fairly, free of contradictions, and told truly by their tags."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.demo.jamendo import jamendo_tags
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import (
    BELLS,
    DYNAMICS,
    INSTRUMENTS,
    STYLES,
    TEMPI,
    VOICES,
    Traits,
    deal_traits,
    mtat_tags,
)


@pytest.mark.parametrize(
    ("traits", "tags"),
    [
        (Traits(("guitar",)), ("guitar",)),
        (Traits(("synth",)), ("electronic", "synth")),
        (Traits(("piano",), "techno", "fast"), ("electronic", "fast", "piano", "techno")),
        (Traits(("flute", "sitar"), "indian", "slow"), ("flute", "indian", "sitar", "slow")),
        (Traits(("strings",), "drums", voice="male"), ("drums", "male", "strings", "vocal")),
        (Traits(("strings",), voice="choir"), ("choir", "strings")),
        (Traits(("piano",), "ambient", "slow", "quiet"), ("ambient", "piano", "quiet", "slow")),
    ],
)
def test_mtat_tags_name_what_is_heard(traits: Traits, tags: tuple[str, ...]) -> None:
    assert mtat_tags(traits) == tags


def test_jamendo_tags_cover_style_instrument_and_pace() -> None:
    tags = jamendo_tags(Traits(("strings",), "techno", "fast", "loud", "female"))
    assert tags == (
        "genre---electronic", "genre---orchestral", "genre---techno", "instrument---drummachine",
        "instrument---strings", "instrument---voice", "mood/theme---energetic",
        "mood/theme---fast", "mood/theme---party", "mood/theme---powerful",
    )  # fmt: skip


def test_every_jamendo_song_has_a_genre_and_a_mood_that_survive_the_splits() -> None:
    # Only discarded tags would be left of this one without the defaults.
    tags = jamendo_tags(Traits(("piano",), "plain", "medium", "quiet"))
    assert "genre---instrumentalpop" in tags
    sitar = jamendo_tags(Traits(("sitar",)))
    assert "mood/theme---melodic" in sitar


@given(n=st.integers(10, 80), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_dealt_songs_do_not_contradict_themselves(n: int, seed: int) -> None:
    songs = deal_traits(n, np.random.default_rng(seed))
    assert len(songs) == n
    for song in songs:
        assert not (song.style == "ambient" and (song.tempo == "fast" or song.dynamics == "loud"))
        assert not (song.style == "techno" and (song.tempo == "slow" or song.dynamics == "quiet"))
        assert len(set(song.instruments)) == len(song.instruments)
        assert len(song.instruments) == 1 or song.voice == "none"


@given(n=st.integers(10, 80), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_value_of_every_trait_has_its_share(n: int, seed: int) -> None:
    songs = deal_traits(n, np.random.default_rng(seed))
    for name, values, weights in (
        ("style", STYLES, (1, 1, 1, 1, 1)),
        ("tempo", TEMPI, (4, 2, 4)),
        ("dynamics", DYNAMICS, (3, 4, 3)),
        ("voice", VOICES, (4, 2, 2, 2)),
    ):
        counts = Counter(getattr(song, name) for song in songs)
        for value, weight in zip(values, weights, strict=True):
            assert abs(counts[value] - n * weight / sum(weights)) < 1.0, (name, value)
    played = Counter(name for song in songs for name in song.instruments)
    # A song cannot have one instrument twice, so a few second hands may be left over.
    assert min(played[name] for name in INSTRUMENTS) >= sum(played.values()) // 7 - 2


def test_tags_of_the_training_songs_do_not_stand_for_each_other() -> None:
    songs = deal_traits(58, generator_for(0, "mtat", "train"))
    names = sorted({tag for song in songs for tag in mtat_tags(song)})
    marks = np.array([[name in mtat_tags(song) for name in names] for song in songs], dtype=float)
    correlation = np.corrcoef(marks.T) - np.eye(len(names))
    assert np.abs(correlation).max() < 0.85
    assert 3.0 < marks.sum(axis=1).mean() < 5.5


def test_bells_carry_no_frequent_tag() -> None:
    assert mtat_tags(BELLS) == ("bells",)


def test_generators_depend_on_seed_and_whole_name() -> None:
    draws = {
        generator_for(seed, *names).random()
        for seed in (0, 1)
        for names in (("a", "b"), ("ab",), ("b", "a"))
    }
    assert len(draws) == 6
    assert generator_for(3, "x").random() == generator_for(3, "x").random()
