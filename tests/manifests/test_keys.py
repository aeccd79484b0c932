"""Names: any clip id makes a legal key, and WebDataset takes names apart as we do."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
import webdataset
from hypothesis import example, given, settings
from hypothesis import strategies as st

from manifests import keys
from manifests.errors import ManifestError

CLIP_IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
CORPORA = st.sampled_from(["mtat", "mtg-jamendo", "audioset", "musan", "folder"])


@given(CORPORA | CLIP_IDS, CLIP_IDS, st.integers(0, 9))
@example("x" * 100, "y" * 100, 9)
@example("", "", 0)
@settings(deadline=None)
def test_any_clip_id_makes_a_legal_key(corpus: str, clip_id: str, excerpt: int) -> None:
    key = keys.example_key(corpus, clip_id, excerpt)
    assert keys.check_key(key) == key
    digest = hashlib.sha256(clip_id.encode()).hexdigest()[:8]
    assert key.endswith(f"-{digest}-{excerpt}")
    longest = f"{key}.noisy.snr_-10.25.flac"
    assert len(longest) <= 100  # what a USTAR header holds


@given(CORPORA, st.sets(CLIP_IDS, min_size=2, max_size=40))
@settings(deadline=None)
def test_clips_whose_slugs_agree_have_keys_of_their_own(corpus: str, ids: set[str]) -> None:
    assert len({keys.example_key(corpus, clip_id, 0) for clip_id in ids}) == len(ids)


def test_keys_by_hand() -> None:
    assert keys.example_key("mtat", "6/Bach - BWV 54.mp3", 0) == "mtat-6_bach_bwv_54_mp3-beba9c82-0"
    assert keys.example_key("mtg-jamendo", "track_0000214", 3).startswith(
        "mtg-jamendo-track_0000214-"
    )
    assert keys.slug("Ünïcode__&__x") == "n_code_x"
    assert keys.slug("…") == "x"
    assert keys.slug("A" * 50) == "a" * 40


@pytest.mark.parametrize(
    "key", ["", "A", "a.b", "a b", "a/b", "../a", "ä", "a\n", "a" * 81, "a\x00", "a:b"]
)
def test_illegal_keys_are_refused(key: str) -> None:
    with pytest.raises(ManifestError, match=r"expected \[a-z0-9_-\], 1 to 80 characters"):
        keys.check_key(key)


@pytest.mark.parametrize("name", ["shard-000000.tar", "k1", "test_musan", "A-b.C_0", "a" * 128])
def test_legal_file_names(name: str) -> None:
    assert keys.check_file_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "/a", "a\\b", "a b", "a\n", "ä", "a" * 129, "s3://x"]
)
def test_illegal_file_names_are_refused(name: str) -> None:
    with pytest.raises(ManifestError, match="no folder"):
        keys.check_file_name(name)


@pytest.mark.parametrize(
    ("snr_db", "text"),
    [
        (10.0, "10"),
        (-5, "-5"),
        (0.0, "0"),
        (-0.0, "0"),
        (-0.001, "0"),
        (2.5, "2.5"),
        (-12.25, "-12.25"),
        (100.0, "100"),
        (20.0, "20"),
    ],
)
def test_snrs_in_names(snr_db: float, text: str) -> None:
    assert keys.format_snr(snr_db) == text
    assert keys.noisy_name(snr_db) == f"noisy.snr_{text}"


@given(st.integers(-6_000, 6_000))
@settings(deadline=None)
def test_snrs_are_told_apart_to_a_hundredth(hundredths: int) -> None:
    assert float(keys.format_snr(hundredths / 100)) == hundredths / 100


def test_member_names() -> None:
    assert keys.member_names((10.0, -10.0), with_noise=True) == (
        "clean",
        "noisy.snr_10",
        "noisy.snr_-10",
    )
    assert keys.member_names((), with_noise=False) == ("audio",)


def test_shard_names_match_their_pattern() -> None:
    assert keys.shard_name(7) == "shard-000007.tar"
    assert keys.sidecar_name(7) == "shard-000007.json"
    found = keys.SHARD_PATTERN.fullmatch(keys.shard_name(123_456))
    assert found is not None and int(found[1]) == 123_456
    assert keys.SHARD_PATTERN.fullmatch("shard-1.tar") is None


@given(st.lists(CLIP_IDS, min_size=1, max_size=5, unique=True))
@settings(deadline=None, max_examples=30)
def test_webdataset_groups_members_under_the_same_keys(ids: list[str]) -> None:
    names = [*keys.member_names((10.0, 2.5, -10.0), with_noise=True)]
    expected = {
        keys.example_key("folder", clip_id, 0): [*(f"{name}.flac" for name in names), "json"]
        for clip_id in ids
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, extensions in expected.items():
            for extension in extensions:
                tar.addfile(tarfile.TarInfo(f"{key}.{extension}"), io.BytesIO())
    buffer.seek(0)
    read = webdataset.tariterators.group_by_keys(
        webdataset.tariterators.tar_file_expander([{"url": "a.tar", "stream": buffer}])
    )
    found = {
        sample["__key__"]: [name for name in sample if not name.startswith("__")] for sample in read
    }
    assert found == expected
