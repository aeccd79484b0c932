"""Canonical JSON and hashes: the same bytes and the same draws on every machine, for ever."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.canonical import (
    canonical_json,
    fraction,
    hash64,
    pretty_json,
    sha256_lines,
    sha256_text,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)  # fmt: skip


@dataclass(frozen=True)
class Inner:
    b: tuple[float, ...]


@dataclass(frozen=True)
class Outer:
    z: str
    a: Inner


def test_canonical_bytes() -> None:
    value = {"b": [1, 2.0, -0.5, 1e-07, 1e22], "a": {"é": "ü\n", "Z": None, "a": True}, "": 0.1}
    assert canonical_json(value) == (
        '{"":0.1,"a":{"Z":null,"a":true,"é":"ü\\n"},"b":[1,2.0,-0.5,1e-07,1e+22]}'
    )


def test_dataclasses_are_their_fields() -> None:
    assert canonical_json(Outer("x", Inner((1.0, 2.5)))) == '{"a":{"b":[1.0,2.5]},"z":"x"}'


@given(values)
@settings(deadline=None)
def test_parsing_gives_the_value_back_and_the_text_again(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
    assert canonical_json(json.loads(pretty_json(value))) == text
    assert "\n" not in text


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("write", [canonical_json, pretty_json])
def test_numbers_that_json_does_not_know_are_refused(bad: float, write: object) -> None:
    assert callable(write)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write({"a": [bad]})


def test_numpy_floats_are_floats_and_other_numpy_numbers_are_refused() -> None:
    assert canonical_json({"a": np.float64(0.1)}) == '{"a":0.1}'
    for bad in (np.float32(0.1), np.int64(3)):
        with pytest.raises(TypeError, match="not JSON serializable"):
            canonical_json({"a": bad})


def test_pretty_json_is_sorted_and_ends_in_a_newline() -> None:
    assert pretty_json({"b": [1], "a": "ü"}) == '{\n "a": "ü",\n "b": [\n  1\n ]\n}\n'


def test_sha256_against_known_digests() -> None:
    """FIPS 180-2 examples, and ``printf 'a\\nb\\n' | sha256sum``."""
    assert sha256_text("abc").startswith("ba7816bf8f01cfea414140de5dae2223")
    assert sha256_text("").startswith("e3b0c44298fc1c149afbf4c8996fb924")
    assert sha256_lines([]) == sha256_text("")
    assert sha256_lines(["a", "b"]) == sha256_text("a\nb\n")
    assert sha256_lines(["b", "a"]) != sha256_lines(["a", "b"])


def test_hash64_golden_values() -> None:
    """The draws of every published plan hang on these."""
    assert hash64("abc") == 0xBA7816BF8F01CFEA  # the first eight bytes of SHA-256("abc")
    assert hash64() == 0xE3B0C44298FC1C14
    assert hash64(0, "mtat-1-0") == 0xE9FF8C0C7C2B9E05
    # printf '0\x1fmtat-1-0' | sha256sum
    assert hash64(0, "mtat-1-0") == hash64("0", "mtat-1-0") == hash64("0\x1fmtat-1-0")
    assert hash64("ab", "c") != hash64("a", "bc") != hash64("abc")


def test_fraction_is_the_upper_53_bits() -> None:
    assert fraction("abc") == (0xBA7816BF8F01CFEA >> 11) / 2**53
    assert fraction("abc") == pytest.approx(0.728394, abs=1e-6)


@given(st.lists(st.integers() | texts, max_size=4))
@settings(deadline=None)
def test_fraction_lies_in_the_half_open_unit_interval(parts: list[object]) -> None:
    assert 0.0 <= fraction(*parts) < 1.0
    assert fraction(*parts) == fraction(*parts)


def test_fractions_of_running_numbers_are_uniform_and_unrelated() -> None:
    """Chi-squared over 20 bins: 99.9 % of uniform draws stay below 43.8."""
    draws = np.array([fraction("seed", number) for number in range(20_000)])
    counts, _ = np.histogram(draws, bins=20, range=(0.0, 1.0))
    assert np.sum((counts - 1_000) ** 2 / 1_000) < 43.8
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.025
    assert len(set(draws)) == draws.size


def test_every_bit_of_hash64_is_used() -> None:
    hashes = np.array([hash64(number) for number in range(4_000)], dtype=np.uint64)
    for bit in range(64):
        share = np.mean((hashes >> np.uint64(bit)) & np.uint64(1))
        assert abs(share - 0.5) < 0.04
