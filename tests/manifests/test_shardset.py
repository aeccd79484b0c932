"""A set on disk: its index and sidecars agree, or the difference is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_shards import write_record, write_tiny_set

from manifests import store
from manifests.errors import ManifestError
from manifests.shard import iter_examples
from manifests.shardset import INDEX, ROLES, SUITE, load_set, load_suite, read_sidecar, sets_of

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def tiny_set(tmp_path: Path) -> Path:
    write_tiny_set(str(tmp_path / "set"))
    return tmp_path / "set"


@pytest.fixture
def memory_url() -> Iterator[str]:
    yield "memory://shardset-test/set"
    store.remove("memory://shardset-test")


def change(path: Path, how: Change) -> None:
    record = json.loads(path.read_text())
    how(record)
    write_record(str(path), record)


def test_a_set_is_loaded_whole(tiny_set: Path) -> None:
    shard_set = load_set(str(tiny_set))
    assert shard_set.url == str(tiny_set)
    assert (shard_set.index.name, len(shard_set.index.shards)) == ("tiny", 2)
    entries = list(shard_set.entries())
    assert [entry.key for _, entry in entries] == ["tiny-0-0", "tiny-0-1", "tiny-1-0", "tiny-1-1"]
    for info, entry in entries:
        data = (tiny_set / info.file).read_bytes()[entry.offset : entry.offset + entry.bytes]
        with (tiny_set / info.file).open("rb") as file:
            whole = dict(iter_examples(file, info.file, whole=True))
        assert whole[entry.key].keys() == entry.member_bytes.keys()
        assert sum(512 + -(-n // 512) * 512 for n in entry.member_bytes.values()) == len(data)
        assert entry.record.key == entry.key


def test_a_set_in_an_object_store_is_loaded_the_same(tiny_set: Path, memory_url: str) -> None:
    index = write_tiny_set(memory_url)
    assert load_set(memory_url).index == index == load_set(str(tiny_set)).index
    assert len(list(load_set(memory_url).entries())) == 4


def test_a_folder_without_an_index_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r": expected a set with index.json, found none$"):
        load_set(str(tmp_path))
    with pytest.raises(ManifestError, match=r"expected a set with index.json, found none"):
        load_set(str(tmp_path / "nowhere"))


def test_an_unfinished_build_is_told_from_no_set(tmp_path: Path) -> None:
    (tmp_path / ".plan").mkdir()
    with pytest.raises(ManifestError, match="its build is not finished: run the same"):
        load_set(str(tmp_path))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda r: r.update(format_version=2), "expected format version 1, got 2"),
        (lambda r: r.update(sample_rate=16_000), "expected 22050 Hz, got 16000"),
        (lambda r: r.pop("tags"), r"SetIndex: expected fields .*missing \['tags'\]"),
        (lambda r: r.update(snrs_db=["10"]), "snrs_db: expected int or float, got '10'"),
        (lambda r: r["shards"][0].update(file="../x.tar"), "shard 0: illegal file name '../x.tar'"),
        (lambda r: r["shards"][0].update(file="/x.tar"), "shard 0: illegal file name '/x.tar'"),
        (lambda r: r["shards"][0].update(file="s3://b/shard-000000.tar"), "illegal file name"),
        (lambda r: r["shards"][0].update(file="shard-000000.tar\n"), "illegal file name"),
        (lambda r: r["shards"][0].update(file="pipe:cat x"), "illegal file name"),
        (lambda r: r["shards"].reverse(), "shard 0: illegal file name 'shard-000001.tar'"),
        (lambda r: r["shards"].append(r["shards"][0]), "shard 2: illegal file name"),
        (lambda r: r["shards"][1].update(n_examples=True), "n_examples: expected int, got True"),
    ],
)
def test_a_wrong_index_is_refused(tiny_set: Path, how: Change, message: str) -> None:
    change(tiny_set / INDEX, how)
    with pytest.raises(ManifestError, match=message):
        load_set(str(tiny_set))


def test_an_index_that_is_no_json_is_refused(tiny_set: Path) -> None:
    (tiny_set / INDEX).write_text('{"format_version": 1')
    with pytest.raises(ManifestError, match=r"index.json: expected JSON: "):
        load_set(str(tiny_set))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda r: r.update(sha256="1" * 64), "shard-000000.tar: index says .*, sidecar "),
        (lambda r: r.update(domain="source"), "shard-000000.tar: index says .*, sidecar "),
        (lambda r: r.update(bytes=r["bytes"] + 1), "shard-000000.tar: index says .*, sidecar "),
        (lambda r: r.update(format_version=9), "expected format version 1, got 9"),
        (lambda r: r["examples"].pop(), "expected 2 examples, its sidecar lists 1"),
        (lambda r: r["examples"][1].update(offset=-512), "expected a place within"),
        (lambda r: r["examples"][1].update(offset=10**12), "expected a place within"),
        (lambda r: r["examples"][1].update(bytes=10**12), "expected a place within"),
        (lambda r: r["examples"][1].update(bytes=0), "expected a place within"),
        (lambda r: r["examples"][0].update(bytes=-5), "expected a place within"),
        (lambda r: r["examples"][0]["record"].pop("key"), r"Example: .*missing \['key'\]"),
        (lambda r: r.pop("plan_sha256"), r"ShardSidecar: .*missing \['plan_sha256'\]"),
    ],
)
def test_a_wrong_sidecar_is_refused(tiny_set: Path, how: Change, message: str) -> None:
    change(tiny_set / "shard-000000.json", how)
    with pytest.raises(ManifestError, match=message):
        load_set(str(tiny_set)).sidecar(0)
    assert load_set(str(tiny_set)).sidecar(1).n_examples == 2


def test_a_missing_sidecar_is_named(tiny_set: Path) -> None:
    (tiny_set / "shard-000001.json").unlink()
    with pytest.raises(ManifestError, match=r"shard-000001.json: cannot be read: No such file"):
        list(load_set(str(tiny_set)).entries())
    with pytest.raises(ManifestError, match="cannot be read"):
        read_sidecar(str(tiny_set), 7)


def write_suite(folder: Path, roles: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUITE).write_text(json.dumps(roles))
    return str(folder)


def test_a_suite_names_its_sets(tmp_path: Path) -> None:
    url = write_suite(tmp_path / "k2", {role: role for role in ROLES})
    expected = {role: f"{url}/{role}" for role in ROLES}
    assert load_suite(url) == expected
    assert load_suite(str(tmp_path)) == expected  # the folder that holds exactly one
    assert sorted(sets_of(url)) == sorted(expected.values())


def test_several_suites_must_be_told_apart(tmp_path: Path) -> None:
    for k in ("k1", "k4"):
        write_suite(tmp_path / k, {"train": "train"})
    with pytest.raises(ManifestError, match="found k1, k4; name one of them"):
        load_suite(str(tmp_path))
    assert sets_of(str(tmp_path)) == [f"{tmp_path}/k1/train", f"{tmp_path}/k4/train"]


def test_no_suite_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"expected a suite .* found none"):
        load_suite(str(tmp_path))


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (["train"], "expected an object of role and folder name"),
        ({"train": 5}, "expected an object of role and folder name"),
        ({"train": None}, "expected an object of role and folder name"),
        ({"train": "../other"}, "file name '../other': expected letters"),
        ({"train": "/etc"}, "file name '/etc': expected letters"),
        ({"train": "pipe:cat x"}, "file name 'pipe:cat x': expected letters"),
        ({"train": ""}, "file name '': expected letters"),
        ({"train": ".."}, "file name '..': expected letters"),
    ],
)
def test_a_hostile_suite_is_refused(tmp_path: Path, roles: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        load_suite(write_suite(tmp_path, roles))


def test_sets_of_a_single_set_is_itself(tiny_set: Path) -> None:
    assert sets_of(str(tiny_set)) == [str(tiny_set)]
    with pytest.raises(ManifestError, match=r"expected a set with index.json"):
        sets_of(str(tiny_set.parent))
