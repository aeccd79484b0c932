"""The output folder: what is refused, what is removed, and who may write there."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import (
    Corpora,
    MakePlan,
    Roots,
    chord,
    generator,
    set_hashes,
    stamps,
    write_audio,
    write_music,
)

from manifests import store
from manifests.errors import ManifestError, UsageError
from pipeline.config import RunOptions
from pipeline.fingerprint import tools
from pipeline.output import locked
from pipeline.planned import Plan
from pipeline.stages.build import build_set
from pipeline.tags import TagFilter

OVERWRITE = RunOptions(overwrite=True)


@pytest.fixture
def small(make_plan: MakePlan) -> Plan:
    return make_plan(limit=2, snrs_db=(0.0,))


def test_a_finished_set_is_not_touched_again(copy: Path, plan: Plan, roots: Roots) -> None:
    before = stamps(copy)
    summary = build_set(plan, str(copy), roots)
    assert (summary.n_resumed, summary.n_shards, summary.realtime_factor) == (5, 5, 0.0)
    assert stamps(copy) == before


def test_the_same_set_again_although_roots_moved(copy: Path, plan: Plan, roots: Roots) -> None:
    elsewhere = {role: dict.fromkeys(names, "/somewhere/else") for role, names in roots.items()}
    assert build_set(plan, str(copy), elsewhere).n_resumed == 5


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"noises": 1}, "noises was 2, now 1"),
        ({"snrs_db": (0.0, 5.0)}, "snrs_db was [10.0, 5.0, 0.0, -5.0, -10.0], now [0.0, 5.0]"),
        ({"band_limit": "off"}, "band_hz was 7200.0, now None; band_limit was 'auto', now 'off'"),
        ({"codec": "wav"}, "codec was 'flac', now 'wav'"),
        ({"limit": 3}, "limit was None, now 3"),
    ],
)
def test_a_set_of_other_options_is_refused_with_the_difference(
    copy: Path, make_plan: MakePlan, roots: Roots, fields: dict[str, Any], difference: str
) -> None:
    before = set_hashes(copy)
    other = make_plan(**{"noises": 2, "examples_per_shard": 3, **fields})
    with pytest.raises(ManifestError) as caught:
        build_set(other, str(copy), roots)
    text = str(caught.value)
    assert text.startswith(f"{copy}: holds a set of another option: ") and difference in text
    assert text.endswith("; choose another --out or --overwrite")
    assert set_hashes(copy) == before


def test_other_tags_are_named_as_what_differs(
    copy: Path, make_plan: MakePlan, roots: Roots
) -> None:
    other = make_plan(noises=2, examples_per_shard=3, tags=TagFilter(drop=("slow",)))
    with pytest.raises(ManifestError, match=r"tag_options was .*'drop': \[\].*, now .*'slow'"):
        build_set(other, str(copy), roots)


def test_a_set_made_with_other_tools_is_refused(
    copy: Path, plan: Plan, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipeline.stages.build.tools", lambda read: {**tools(read), "numpy": "99.0"}
    )
    with pytest.raises(ManifestError, match=r"another tool: numpy was '.*', now '99\.0'; choose"):
        build_set(plan, str(copy), roots)


def test_changed_corpora_are_refused(copy: Path, plan: Plan, roots: Roots) -> None:
    other = replace(plan, rows=plan.rows[:-1])
    with pytest.raises(ManifestError, match=r"the corpora changed .* or in a suite --noises or"):
        build_set(other, str(copy), roots)


def test_overwrite_replaces_a_set_of_other_options(
    copy: Path, small: Plan, roots: Roots, tmp_path: Path
) -> None:
    build_set(small, str(tmp_path / "fresh"), roots)
    build_set(small, str(copy), roots, run=OVERWRITE)
    assert set_hashes(copy) == set_hashes(tmp_path / "fresh")


def test_overwrite_leaves_what_is_not_the_sets(copy: Path, small: Plan, roots: Roots) -> None:
    (copy / "notes.txt").write_text("mine")
    (copy / "plots").mkdir()
    (copy / "plots/a.png").write_bytes(b"png")
    build_set(small, str(copy), roots, run=OVERWRITE)
    assert (copy / "notes.txt").read_text() == "mine" and (copy / "plots/a.png").exists()
    assert not list(copy.glob("shard-000002*"))


def test_own_notes_in_a_set_do_not_stop_a_resume(copy: Path, plan: Plan, roots: Roots) -> None:
    (copy / "notes.txt").write_text("mine")
    assert build_set(plan, str(copy), roots).n_resumed == 5


@pytest.mark.parametrize("run", [RunOptions(), OVERWRITE], ids=["plain", "overwrite"])
@pytest.mark.parametrize(
    "names",
    [
        ["thesis.tex"],
        ["index.json", "package.json", "README.md"],
        ["shard-000000.tar", "shard-000001.tar"],
        ["folder/song.wav"],
        ["k1/train/index.json", "k1/suite.json"],
    ],
    ids=["a file", "a web project", "other shards", "a folder", "a suite"],
)
def test_a_folder_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, small: Plan, roots: Roots, names: list[str], run: RunOptions
) -> None:
    out = tmp_path / "out"
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    with pytest.raises(ManifestError) as caught:
        build_set(small, str(out), roots, run=run)
    text = str(caught.value)
    assert text.startswith(f"{out}: expected a new folder, an empty one or a set, found ")
    assert text.endswith("; choose another --out (--overwrite removes sets only)")
    assert set_hashes(out).keys() == set(names)
    assert {(out / name).read_text() for name in names} == {"mine"}


def test_hidden_files_do_not_count(tmp_path: Path, small: Plan, roots: Roots) -> None:
    out = tmp_path / "out"
    (out / ".git").mkdir(parents=True)
    (out / ".DS_Store").write_text("x")
    build_set(small, str(out), roots)
    assert (out / ".DS_Store").exists() and (out / "index.json").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path: Path, small: Plan, roots: Roots) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ManifestError) as caught:
        build_set(small, str(tmp_path / "out"), roots)
    assert str(caught.value) == (
        f"{tmp_path}/out: expected a folder, got a file; choose another --out"
    )


def test_a_place_that_cannot_be_written(small: Plan, roots: Roots) -> None:
    with pytest.raises(ManifestError, match=r"^/proc/nowhere/set: cannot be written: No such file"):
        build_set(small, "/proc/nowhere/set", roots)


def test_shards_without_index_and_plan_are_not_taken_for_a_build(
    copy: Path, plan: Plan, built: Path, roots: Roots
) -> None:
    (copy / "index.json").unlink()
    with pytest.raises(ManifestError) as caught:
        build_set(plan, str(copy), roots)
    assert str(caught.value) == (
        f"{copy}: expected index.json beside the shards, found none; choose another --out or "
        "--overwrite"
    )
    build_set(plan, str(copy), roots, run=OVERWRITE)
    assert set_hashes(copy) == set_hashes(built)


def test_two_builds_into_one_folder(tmp_path: Path, small: Plan, roots: Roots) -> None:
    """The second is refused while the first holds the folder, and goes on when it has ended."""
    out = tmp_path / "out"
    with locked(str(out)):
        with pytest.raises(ManifestError) as caught:
            build_set(small, str(out), roots)
        assert str(caught.value) == (
            f"{out}: expected no other build there, got one that is writing; wait for its end or "
            "choose another --out"
        )
        assert list(out.iterdir()) == []
    build_set(small, str(out), roots)


def test_the_lock_of_a_killed_build_is_free(tmp_path: Path) -> None:
    code = f"""
        import os
        from pipeline.output import locked
        with locked({str(tmp_path)!r}):
            os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -9
    with locked(str(tmp_path)):
        pass


def test_memory_belongs_to_one_process(small: Plan, roots: Roots) -> None:
    for run in (RunOptions(jobs=2), RunOptions(engine="dask")):
        with pytest.raises(UsageError, match=r"memory://x: lives in this process alone: expected"):
            build_set(small, "memory://x", roots, run=run)


def test_a_relative_folder_and_the_home_folder(
    tmp_path: Path, small: Plan, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    build_set(small, "relative/set/", roots)
    build_set(small, "~/set", roots)
    assert set_hashes(tmp_path / "relative/set") == set_hashes(tmp_path / "home/set")
    assert not (tmp_path / "~").exists()


def test_a_set_inside_its_own_corpus(
    tmp_path: Path, corpora: Corpora, make_plan: MakePlan, built: Path
) -> None:
    """The set's files are no audio to a scan, so the next plan is the same."""
    music = write_music(tmp_path / "music")
    noise = str(corpora.noise)
    fields = {"noises": 2, "examples_per_shard": 3}
    roots = {"music": {"folder": str(music)}, "noise": {"folder": noise}}
    build_set(make_plan(music, **fields), str(music / "sets/train"), roots)
    assert build_set(make_plan(music, **fields), str(music / "sets/train"), roots).n_resumed == 5
    assert set_hashes(music / "sets/train") == set_hashes(built)
    with pytest.raises(ManifestError, match="expected a new folder, an empty one or a set, found"):
        build_set(make_plan(music, **fields), str(music), roots)


def test_the_index_is_the_last_file_written(
    tmp_path: Path, small: Plan, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    original = store.partial_file

    def spy(url: str) -> AbstractContextManager[Path]:
        written.append(url.rsplit("/", 1)[-1])
        return original(url)

    monkeypatch.setattr("manifests.store.partial_file", spy)
    build_set(small, str(tmp_path / "set"), roots)
    assert written[0] == "plan.json" and written[-1] == "index.json"
    for name in (n for n in written if n.endswith(".tar")):
        assert written.index(name) < written.index(name.replace(".tar", ".json"))


def test_plan_rows_with_line_separators_in_their_texts(
    tmp_path: Path, make_plan: MakePlan, corpora: Corpora
) -> None:
    """U+2028 and U+0085 end lines for str.splitlines, not for JSON lines."""
    write_audio(tmp_path / "music/a.wav", chord(generator("a"), 3.0, 22_050))
    (tmp_path / "music/metadata.csv").write_text(
        "path,tags,artist\na.wav,one\u2028two,A\u0085B\u2029C\n", encoding="utf-8"
    )
    noise = str(corpora.noise)
    plan = make_plan(tmp_path / "music", snrs_db=(0.0,))
    roots = {"music": {"folder": str(tmp_path / "music")}, "noise": {"folder": noise}}
    build_set(plan, str(tmp_path / "set"), roots)
    (sidecar,) = (tmp_path / "set").glob("shard-*.json")
    (entry,) = json.loads(sidecar.read_text())["examples"]
    assert entry["record"]["tags"] == ["one\u2028two"]
    assert entry["record"]["music"]["artist"] == "A\u0085B\u2029C"
