"""``verify`` finds files that are missing, edited or not listed, and an index that lies."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tampering import SHARD, fix_hashes, problems

from manifests.errors import ManifestError
from pipeline.set_files import read_checksums
from pipeline.stages.verify import Verdict, verify_set


def test_an_untouched_set_is_whole(built: Path) -> None:
    verdict = verify_set(str(built))
    assert verdict == Verdict("folder-train-x-folder-k2", 16, 12, ())
    assert verify_set(str(built), files_only=True) == Verdict("folder-train-x-folder-k2", 16, 0, ())


@pytest.mark.parametrize(
    "name",
    ["shard-000002.tar", "shard-000002.json", "examples.parquet", "rejects.parquet", "tags.json",
     "croissant.json", "README.md"],
)  # fmt: skip
def test_a_removed_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"{name}: expected a file, found none" in problems(copy)


PIPES = ("README.md", "tags.json", SHARD, SHARD.replace(".tar", ".json"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_in_a_files_place_is_named_not_waited_for(copy: Path, name: str) -> None:
    (copy / name).unlink()
    os.mkfifo(copy / name)
    assert f"{name}: expected a file, found a folder, a pipe or a device" in problems(copy)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["index.json", "manifest-sha256.txt"])
def test_a_pipe_for_the_index_or_the_checksums(copy: Path, name: str) -> None:
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(ManifestError, match=rf"^{name}: expected a file, found a folder, a pipe"):
        verify_set(str(copy))


def test_a_link_to_a_file_is_that_file(copy: Path, tmp_path: Path) -> None:
    """Caches of downloads hold links."""
    (copy / SHARD).rename(tmp_path / "elsewhere")
    (copy / SHARD).symlink_to(tmp_path / "elsewhere")
    assert problems(copy) == []


@pytest.mark.parametrize("name", ["index.json", "manifest-sha256.txt"])
def test_without_index_or_checksums_there_is_no_verdict(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ManifestError, match=name):
        verify_set(str(copy))


@pytest.mark.parametrize(
    "name", ["shard-000001.json", "examples.parquet", "tags.json", "README.md"]
)
def test_an_edited_file_is_named(copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b" ")
    assert any(p.startswith(f"{name}: expected SHA-256") for p in problems(copy))


def test_an_edited_sidecar_of_a_shard_is_found_though_hashes_fit(copy: Path) -> None:
    path = copy / SHARD.replace(".tar", ".json")
    sidecar = json.loads(path.read_text())
    sidecar["examples"][1]["record"]["tags"] = ["piano"]
    sidecar["examples"][2]["offset"] += 512
    path.write_text(json.dumps(sidecar))
    fix_hashes(copy)
    keys = [entry["key"] for entry in sidecar["examples"]]
    found = problems(copy)
    assert any(
        p.startswith(f"{SHARD}: {keys[1]}: sidecar of the shard says otherwise than") for p in found
    )
    assert any(
        p.startswith(f"{SHARD}: {keys[2]}: sidecar says offset, bytes, members") for p in found
    )


def test_an_edited_index_is_found_though_hashes_fit(copy: Path) -> None:
    index = json.loads((copy / "index.json").read_text())
    for edit, expected in (
        ({"counts": {**index["counts"], "examples": 13}}, "index.json: counts 13 examples, its"),
        ({"split": "test"}, "expected key, split, domain, noises"),
        ({"noises_per_example": 4}, "expected key, split, domain, noises"),
        ({"tags": ["guitar"]}, "are not in the set's vocabulary"),
        ({"snrs_db": [10.0, 5.0, 0.0, -5.0, -11.0]}, "expected members"),
        ({"codec": "wav"}, "expected members"),
    ):
        (copy / "index.json").write_text(json.dumps({**index, **edit}))
        fix_hashes(copy)
        found = problems(copy)
        assert any(expected in p for p in found), (edit, found)


def test_an_index_that_disagrees_with_a_sidecar_names_the_shard(copy: Path) -> None:
    index = json.loads((copy / "index.json").read_text())
    index["shards"][1]["n_examples"] = 2
    (copy / "index.json").write_text(json.dumps(index))
    found = problems(copy)
    assert any(f"{SHARD}: index says" in p for p in found)
    assert any(p.startswith("index.json: expected SHA-256") for p in found)


def test_a_file_left_out_of_the_checksums_is_named(copy: Path) -> None:
    path = copy / "manifest-sha256.txt"
    lines = [line for line in path.read_text().splitlines(True) if "tags.json" not in line]
    path.write_text("".join(line for line in lines if "shard-000002.tar" not in line))
    found = problems(copy)
    assert "tags.json: not in manifest-sha256.txt" in found
    assert "shard-000002.tar: not in manifest-sha256.txt" in found


def test_a_shard_that_nobody_lists_is_named(copy: Path) -> None:
    shutil.copy(copy / SHARD, copy / "shard-000005.tar")
    assert problems(copy) == [
        "shard-000005.tar: a shard that index.json does not list; readers of shard-*.tar would "
        "take it"
    ]


def test_own_notes_in_the_folder_are_nobodys_business(copy: Path) -> None:
    (copy / "notes.txt").write_text("mine")
    assert problems(copy) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense\n", "expected 'SHA-256  NAME', got 'nonsense'"),
        ("0" * 64 + " tags.json\n", "expected 'SHA-256  NAME'"),
        ("0" * 64 + "  ../../etc/passwd\n", "file name '../../etc/passwd': expected letters"),
        ("0" * 64 + "  /etc/passwd\n", "file name '/etc/passwd': expected letters"),
    ],
)
def test_checksums_that_are_malformed_or_lead_out(copy: Path, text: str, message: str) -> None:
    (copy / "manifest-sha256.txt").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_checksums(str(copy))
