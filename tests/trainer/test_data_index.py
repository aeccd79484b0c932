"""References: places of members, and every way a set on disk can disagree with itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_sets import RUNGS_DB, TAGS, write_set

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError, UsageError
from manifests.shard import iter_examples
from manifests.shardset import load_set
from trainer.data.index import load_refs, restrict, without_tags
from trainer.data.members import ShardReader, read_members

NAMES = ("clean", *(f"noisy.snr_{value:g}" for value in RUNGS_DB))


def edit_json(path: Path, change: Any) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(canonical_json(record))


def test_every_member_is_where_its_reference_says(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path), n_songs=4)
    refs = load_refs(shard_set)
    assert len(refs) == 8
    read = {}
    for info in shard_set.index.shards:
        with (tmp_path / info.file).open("rb") as file:
            read |= dict(iter_examples(file, info.file))
    for ref in refs:
        assert tuple(member.name for member in ref.members) == NAMES
        with (tmp_path / ref.shard).open("rb") as file:
            found = read_members(file, ref, NAMES)
            piece = io.BytesIO((tmp_path / ref.shard).read_bytes()[ref.offset :][: ref.n_bytes])
        expected = read[ref.key]
        assert found == {name: expected[f"{name}.flac"] for name in NAMES}
        assert [key for key, _ in iter_examples(piece, "range")] == [ref.key]


def test_a_reference_says_whose_it_is(tmp_path: Path) -> None:
    refs = load_refs(write_set(str(tmp_path), n_songs=4))
    by_song = {ref.song: ref for ref in refs}
    assert by_song.keys() == {f"tiny:song-{number:02d}" for number in range(4)}
    ref = by_song["tiny:song-01"]
    assert (ref.domain, ref.artist, ref.n_samples) == ("target", "tiny:artist-0", 5_000)
    assert ref.tags == ("piano", "drums")
    assert set(ref.tags) < set(TAGS)


def test_a_half_is_loaded_without_opening_the_sidecars_of_the_other(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path))
    for info in shard_set.index.shards:
        if info.domain == "target":
            (tmp_path / info.file.replace(".tar", ".json")).write_text("not JSON")
    refs = load_refs(shard_set, domain="source")
    assert {ref.domain for ref in refs} == {"source"} and len(refs) == 12
    with pytest.raises(ManifestError, match="expected JSON"):
        load_refs(shard_set)


def test_a_set_without_halves_has_no_source(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path), halves=False)
    assert len(load_refs(shard_set)) == 24
    with pytest.raises(UsageError, match="source half, got a set without halves; build"):
        load_refs(shard_set, domain="source")


def test_restricted_references_hold_no_other_member_and_no_tags(tmp_path: Path) -> None:
    refs = restrict(load_refs(write_set(str(tmp_path))), ["noisy.snr_0"])
    assert {tuple(m.name for m in ref.members) for ref in refs} == {("noisy.snr_0",)}
    with pytest.raises(ManifestError, match=r"expected a member clean, may open noisy\.snr_0"):
        refs[0].member("clean")
    assert {ref.tags for ref in without_tags(refs)} == {()}


def test_works_on_other_file_systems(tmp_path: Path) -> None:
    local = load_refs(write_set(str(tmp_path), n_songs=4))
    by_url = load_refs(load_set(f"file://{tmp_path}"))
    in_memory = load_refs(write_set("memory://index-test/set", n_songs=4))
    assert [(r.key, r.members) for r in local] == [(r.key, r.members) for r in by_url]
    assert [(r.key, r.members) for r in local] == [(r.key, r.members) for r in in_memory]
    with ShardReader() as reader:
        wanted = [(refs[0], ("clean",)) for refs in (local, by_url, in_memory)]
        assert len({contents["clean"] for contents in reader.read(wanted)}) == 1
    store.remove("memory://index-test")


def test_a_tar_cut_short_is_named(tmp_path: Path) -> None:
    shard_set = write_set(str(tmp_path))
    path = tmp_path / "shard-000001.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:-600])
    with pytest.raises(ManifestError, match=r"shard-000001\.tar: expected .* the tar is cut short"):
        load_refs(shard_set)
    path.write_bytes(whole + b"\0" * 512)
    with pytest.raises(ManifestError, match="it was written after the index"):
        load_refs(shard_set)
    path.unlink()
    with pytest.raises(ManifestError, match=r"shard-000001\.tar: expected a shard of \d+ bytes"):
        load_refs(shard_set)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["examples"].pop(), "expected 5 examples, its sidecar lists 4"),
        (lambda r: r["examples"][0].update(bytes=512), "its members come to"),
        (lambda r: r["examples"][0].update(offset=10**9), "expected a place within"),
        (lambda r: r["examples"][0]["record"].update(domain="target"), "of half target"),
        (lambda r: r["examples"][0]["record"].update(tags=["zither"]), r"got \['zither'\]"),
        (lambda r: r["examples"][0]["member_bytes"].pop("clean.flac"), "expected members"),
        (
            lambda r: r["examples"][0]["record"]["members"]["clean"].update(n_samples=7),
            r"expected members of one length, got \[7, 5000\]",
        ),
        (
            lambda r: r["examples"].__setitem__(1, r["examples"][0]),
            "expected one such key, found two",
        ),
    ],
)
def test_a_sidecar_that_says_otherwise_is_refused(
    tmp_path: Path, change: Any, message: str
) -> None:
    write_set(str(tmp_path))
    edit_json(tmp_path / "shard-000000.json", change)
    with pytest.raises(ManifestError, match=message):
        load_refs(load_set(str(tmp_path)))
