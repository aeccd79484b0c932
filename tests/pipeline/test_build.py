"""A finished set, read with plain tarfile, soundfile and numpy."""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import tarfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from plain_reader import PlainExample, check_snrs, read_set, read_shard, snr_db
from tiny_corpora import Corpora, MakePlan, Roots, set_hashes

from manifests.canonical import hash64
from manifests.shardset import load_set
from pipeline.planned import Plan
from pipeline.stages.build import BuildSummary, build_set, summary_dict

MEMBERS = ("clean", "noisy.snr_10", "noisy.snr_5", "noisy.snr_0", "noisy.snr_-5", "noisy.snr_-10")


@pytest.fixture(scope="module")
def examples(built: Path) -> list[PlainExample]:
    return read_set(built)


def test_files_of_a_set(built: Path) -> None:
    names = {path.name for path in built.iterdir()}
    shards = {f"shard-{n:06d}.{ext}" for n in range(5) for ext in ("tar", "json")}
    assert names == shards | {
        "index.json", "examples.parquet", "rejects.parquet", "tags.json",
        "manifest-sha256.txt", "croissant.json", "README.md",
    }  # fmt: skip


@pytest.mark.parametrize("k", [1, 2, 4])
def test_every_example_is_at_its_snr(
    k: int, make_plan: MakePlan, roots: Roots, tmp_path: Path
) -> None:
    plan = make_plan(noises=k, limit=8)
    build_set(plan, str(tmp_path / "set"), roots)
    found = read_set(tmp_path / "set")
    assert check_snrs(found) == 8 * 5
    assert all(len(example.record["noises"]) == k for example in found)


def test_noise_is_one_ladder_in_exact_proportion(examples: list[PlainExample]) -> None:
    for example in examples:
        clean = example.pcm["clean"].astype(np.float64)
        lowest = example.pcm["noisy.snr_-10"] - clean
        for target_db in (10, 5, 0, -5):
            part = example.pcm[f"noisy.snr_{target_db}"] - clean
            expected = lowest * 10 ** ((-10 - target_db) / 20)
            assert np.max(np.abs(part - expected)) <= 2.0, example.key


def test_any_snr_is_one_line_away(examples: list[PlainExample]) -> None:
    """clean + (noisy_lowest - clean) * 10 ** ((lowest - s) / 20), as docs and cards say."""
    for example in examples[:6]:
        clean, lowest = (example.pcm[n].astype(np.float32) for n in ("clean", "noisy.snr_-10"))
        for target_db in (10.0, 3.0, 0.0, -7.0):
            mixed = clean + (lowest - clean) * np.float32(10 ** ((-10 - target_db) / 20))
            if f"noisy.snr_{target_db:g}" in example.pcm:
                stored = example.pcm[f"noisy.snr_{target_db:g}"]
                assert np.max(np.abs(mixed - stored)) <= 2.0
            found_db = snr_db(example.pcm["clean"], np.rint(mixed))
            assert found_db == pytest.approx(target_db, abs=0.05)


def test_nothing_clips(examples: list[PlainExample]) -> None:
    peaks = [int(np.max(np.abs(p.astype(int)))) for e in examples for p in e.pcm.values()]
    assert max(peaks) <= 32766


def test_members_are_uniform_contiguous_and_in_order(built: Path) -> None:
    for path in sorted(built.glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            entries = tar.getmembers()
        keys = list(dict.fromkeys(name.partition(".")[0] for name in names))
        expected = [
            f"{key}.{m}.flac" if m else f"{key}.json" for key in keys for m in (*MEMBERS, "")
        ]
        assert names == expected
        owners = {(e.mtime, e.uid, e.gid, e.uname, e.gname, e.mode, e.type) for e in entries}
        assert owners == {(0, 0, 0, "", "", 0o644, tarfile.REGTYPE)}


def test_audio_is_mono_22050_hz_and_of_one_length(examples: list[PlainExample]) -> None:
    for example in examples:
        assert example.sample_rates == {22_050}
        lengths = {pcm.shape for pcm in example.pcm.values()}
        duration_s = example.record["music"]["duration_s"]
        assert lengths == {(round(duration_s * 22_050),)}


def test_sidecars_say_what_the_samples_are(examples: list[PlainExample]) -> None:
    for example in examples:
        for name, figures in example.record["members"].items():
            pcm = example.pcm[name]
            assert figures["pcm_sha256"] == example.sha256(name)
            assert figures["n_samples"] == pcm.size
            assert figures["peak"] == pytest.approx(
                np.max(np.abs(pcm.astype(int))) / 32768, abs=1e-6
            )
            if name != "clean":
                found_db = snr_db(example.pcm["clean"], pcm)
                assert figures["achieved_db"] == pytest.approx(found_db, abs=0.00051)


def test_keys_are_legal_and_unique(examples: list[PlainExample]) -> None:
    keys = [example.key for example in examples]
    assert len(set(keys)) == len(keys) == 12
    for example in examples:
        clip_id = example.record["music"]["clip_id"]
        digest = hashlib.sha256(clip_id.encode()).hexdigest()[:8]
        assert example.key == f"folder-{clip_id.replace('/', '_')}-{digest}-0"
        assert example.record["key"] == example.key


def test_no_song_is_in_both_halves_and_a_shard_holds_one(
    built: Path, examples: list[PlainExample]
) -> None:
    songs, shards = defaultdict(set), defaultdict(set)
    for example in examples:
        songs[example.record["music"]["song"]].add(example.record["domain"])
        shards[example.shard].add(example.record["domain"])
    assert all(len(domains) == 1 for domains in (*songs.values(), *shards.values()))
    assert set.union(*songs.values()) == {"source", "target"} and len(songs) < len(examples)
    for path in built.glob("shard-*.json"):
        assert {json.loads(path.read_text())["domain"]} == shards[path.stem + ".tar"]


def test_examples_lie_in_hash_order(examples: list[PlainExample]) -> None:
    for domain in ("source", "target"):
        keys = [e.key for e in examples if e.record["domain"] == domain]
        assert keys == sorted(keys, key=lambda key: hash64(0, "order", key))


def test_limit_gives_a_true_subset(
    make_plan: MakePlan, roots: Roots, built: Path, tmp_path: Path
) -> None:
    """The same samples, example by example."""
    plan = make_plan(noises=2, limit=5)
    build_set(plan, str(tmp_path / "small"), roots)
    full = {e.key: e for e in read_set(built)}
    small = read_set(tmp_path / "small")
    assert len(small) == 5
    for example in small:
        for name in MEMBERS:
            assert example.sha256(name) == full[example.key].sha256(name)


def test_byte_ranges_of_the_sidecar_are_tars_of_one_example(built: Path) -> None:
    for path in sorted(built.glob("shard-*.json")):
        record = json.loads(path.read_text())
        data = (built / record["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == record["sha256"]
        assert len(data) == record["bytes"]
        for entry in record["examples"]:
            piece = data[entry["offset"] : entry["offset"] + entry["bytes"]]
            with tarfile.open(fileobj=io.BytesIO(piece), mode="r|") as tar:
                sizes = {e.name.partition(".")[2]: e.size for e in tar}
                keys = {entry["key"]}
            assert sizes == entry["member_bytes"] and keys == {entry["record"]["key"]}


def test_index_counts_and_hashes(built: Path, plan: Plan, examples: list[PlainExample]) -> None:
    index = json.loads((built / "index.json").read_text())
    assert index["counts"] == {
        "examples": 12,
        "source": sum(e.record["domain"] == "source" for e in examples),
        "target": sum(e.record["domain"] == "target" for e in examples),
        "songs": 8,
        "seconds": pytest.approx(sum(e.record["music"]["duration_s"] for e in examples), abs=0.01),
        "bytes": sum(path.stat().st_size for path in built.glob("*.tar")),
        "rejects": 0,
    }
    for shard in index["shards"]:
        data = (built / shard["file"]).read_bytes()
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
        assert shard["n_examples"] == len(read_shard(built / shard["file"]))
    assert index["plan_sha256"] == plan.sha256()
    assert index["tags"] == ["guitar", "rock", "piano", "slow"]


def test_manifest_lists_every_file_but_itself(built: Path) -> None:
    lines = (built / "manifest-sha256.txt").read_text().splitlines()
    listed = {name: sha256 for sha256, name in (line.split("  ") for line in lines)}
    found = set_hashes(built)
    del found["manifest-sha256.txt"]
    assert listed == found


def test_tables(built: Path, examples: list[PlainExample]) -> None:
    rows = pq.read_table(built / "examples.parquet").to_pylist()
    assert [row["key"] for row in rows] == [example.key for example in examples]
    for row, example in zip(rows, examples, strict=True):
        assert f"shard-{row['shard']:06d}.tar" == example.shard
        assert row["song"] == example.record["music"]["song"]
        assert row["tags"] == example.record["tags"]
        assert row["noise_clip_ids"] == [n["clip_id"] for n in example.record["noises"]]
        assert row["members"] == list(MEMBERS)
        assert row["targets_db"] == [10.0, 5.0, 0.0, -5.0, -10.0]
        figures = example.record["members"]
        assert row["achieved_db"] == [figures[m]["achieved_db"] for m in MEMBERS[1:]]
        assert row["peaks"] == [figures[m]["peak"] for m in MEMBERS]
    assert pq.read_table(built / "rejects.parquet").num_rows == 0


def test_tags_are_names_of_the_vocabulary(built: Path, examples: list[PlainExample]) -> None:
    vocabulary = json.loads((built / "tags.json").read_text())["names"]
    for example in examples:
        places = [vocabulary.index(tag) for tag in example.record["tags"]]
        assert places == sorted(places)


def test_no_host_or_path_in_any_file(built: Path, roots: Roots, tmp_path: Path) -> None:
    paths = [str(built), str(tmp_path.parent), *roots["music"].values(), *roots["noise"].values()]
    host = re.compile(rf"\b{re.escape(socket.gethostname())}\b")
    for path in built.iterdir():
        data = path.read_bytes()
        assert not any(word.encode() in data for word in paths), path.name
        if path.suffix in (".json", ".md", ".txt"):
            assert not host.search(data.decode()), path.name


def test_croissant_lists_the_files_with_their_hashes(built: Path) -> None:
    metadata = json.loads((built / "croissant.json").read_text())
    assert metadata["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    hashes = {file["name"]: file["sha256"] for file in metadata["distribution"]}
    found = set_hashes(built)
    assert hashes == {
        n: h for n, h in found.items() if n not in ("croissant.json", "manifest-sha256.txt")
    }


def test_card_names_members_licences_and_snrs(built: Path) -> None:
    text = (built / "README.md").read_text()
    for expected in ("`KEY.noisy.snr_-10.flac`", "CC-BY-4.0", "at 10, 5, 0, -5, -10 dB", "2 noise"):
        assert expected in text
    assert "```\n\n```" not in text  # a folder has no citation


def test_summary(make_plan: MakePlan, roots: Roots, tmp_path: Path) -> None:
    plan = make_plan(limit=4)
    summary = build_set(plan, str(tmp_path / "set"), roots)
    assert isinstance(summary, BuildSummary)
    assert (summary.n_examples, summary.n_resumed) == (4, 0)
    assert summary.n_shards == len(plan.shards())
    assert summary.hours == pytest.approx(plan.seconds / 3600, abs=1e-4)
    assert summary.audio_hours == pytest.approx(6 * plan.seconds / 3600, abs=1e-4)
    assert summary.n_bytes == sum(p.stat().st_size for p in (tmp_path / "set").glob("*.tar"))
    assert summary.realtime_factor > 0
    assert json.loads(json.dumps(summary_dict(summary)))["name"] == plan.config.name


def test_recordings(make_plan: MakePlan, roots: Roots, tmp_path: Path) -> None:
    plan = make_plan(split="test", recordings=True)
    build_set(plan, str(tmp_path / "set"), roots)
    found = read_set(tmp_path / "set")
    assert {example.names for example in found} == {("audio.flac", "json")}
    index = load_set(str(tmp_path / "set")).index
    assert (index.snrs_db, index.noises_per_example) == ((), 0)
    assert "Recordings of folder" in (tmp_path / "set/README.md").read_text()


def test_wav_set_holds_the_samples_of_the_flac_set(
    make_plan: MakePlan, roots: Roots, tmp_path: Path
) -> None:
    plan = make_plan(limit=3)
    build_set(plan, str(tmp_path / "flac"), roots)
    wav = replace(plan, config=replace(plan.config, codec="wav"))
    build_set(wav, str(tmp_path / "wav"), roots)
    for one, two in zip(read_set(tmp_path / "flac"), read_set(tmp_path / "wav"), strict=True):
        assert one.record == two.record
        assert all(np.array_equal(one.pcm[m], two.pcm[m]) for m in MEMBERS)
        assert two.names == tuple(n.replace(".flac", ".wav") for n in one.names)


def test_sources_are_left_untouched(corpora: Corpora, built: Path) -> None:
    """Nothing is written beside the user's audio."""
    for root in (corpora.music, corpora.noise, corpora.musan):
        names = {path.suffix for path in root.rglob("*") if path.is_file()}
        assert names <= {".wav", ".flac", ".csv", ""}
