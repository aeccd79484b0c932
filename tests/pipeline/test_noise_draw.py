"""Which noises an example gets."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from manifests.canonical import hash64
from pipeline.noise_draw import noise_hashes, ranked_noises, splitmix64

IDS = [("musan", f"noise-{number}") for number in range(200)]


def first(seed: int, key: str, ids: list[tuple[str, str]], k: int) -> list[tuple[str, str]]:
    ranks = ranked_noises(seed, key, noise_hashes(ids), k)
    return [ids[position] for position in itertools.islice(ranks, k)]


def test_splitmix64_gives_the_published_sequence() -> None:
    """The first outputs of Vigna's splitmix64.c for seed 1234567."""
    increment = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        states = np.uint64(1234567) + increment * np.arange(5, dtype=np.uint64)
    assert splitmix64(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_pair_hash_is_the_finaliser_of_both_sides() -> None:
    """Written out in plain integers."""

    def pair(seed: int, key: str, noise: tuple[str, str]) -> int:
        mask = (1 << 64) - 1
        z = (hash64("noise", *noise) ^ hash64(seed, "noises", key)) + 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return z ^ z >> 31

    for key in ("mtat-a-0", "mtat-b-0"):
        expected = sorted(IDS, key=lambda noise: pair(7, key, noise))
        assert first(7, key, IDS, len(IDS)) == expected


@given(st.integers(1, 40), st.sampled_from([1, 2, 4]), st.integers(0, 5))
def test_every_noise_comes_once_in_rising_order(n_noises: int, k: int, seed: int) -> None:
    hashes = noise_hashes(IDS[:n_noises])
    ranks = list(ranked_noises(seed, "key", hashes, k))
    pair = splitmix64(hashes ^ np.uint64(hash64(seed, "noises", "key")))
    assert ranks == np.argsort(pair, kind="stable").tolist()


def test_one_is_the_first_of_two_and_two_the_first_of_four() -> None:
    for key in map(str, range(50)):
        one, two, four = (first(0, key, IDS, k) for k in (1, 2, 4))
        assert one == two[:1] and two == four[:2] and len(set(four)) == 4


def test_the_order_of_the_corpus_does_not_matter() -> None:
    shuffled = list(np.random.default_rng(3).permutation(np.array(IDS)).tolist())
    for key in map(str, range(50)):
        expected = first(0, key, IDS, 4)
        assert first(0, key, [(c, i) for c, i in shuffled], 4) == expected


def test_a_missing_noise_changes_its_users_alone() -> None:
    lost = IDS[17]
    rest = [noise for noise in IDS if noise != lost]
    users = 0
    for key in map(str, range(300)):
        before, after = first(0, key, IDS, 4), first(0, key, rest, 4)
        if lost in before:
            users += 1
            assert [n for n in before if n != lost] == after[:3]
        else:
            assert before == after
    assert 0 < users < 30


def test_noises_are_used_about_equally_often() -> None:
    """Chi-square of 4 of 200 noises in 5,000 examples; 280 is the 99.99th percentile of 199."""
    counts = dict.fromkeys(IDS, 0)
    for number in range(5000):
        for noise in first(0, f"key-{number}", IDS, 4):
            counts[noise] += 1
    chi_square = sum((count - 100) ** 2 / 98 for count in counts.values())
    assert 120 < chi_square < 280


def test_seed_and_key_both_matter() -> None:
    draws = {(s, k): tuple(first(s, k, IDS, 4)) for s in range(3) for k in ("a", "b", "c")}
    assert len(set(draws.values())) == len(draws)
