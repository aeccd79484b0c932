"""What freeze writes: one id everywhere, plain files with hashes, nothing that does not belong."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from frozen_teams import build, canonical, reseal, roots, rows, run
from tiny_corpora import Corpora, set_hashes, write_corpora

from manifests.errors import ManifestError
from pipeline.frozen.load import load_recipe
from pipeline.frozen.write import write_files
from pipeline.stages import freeze


@pytest.fixture(scope="module")
def team(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("freeze")
    build(corpora, root / "set", "--noises", 2)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root


def test_the_id_is_the_hash_of_header_and_plan_by_hand(team: Path) -> None:
    header = json.loads((team / "tiny.v1/recipe.json").read_bytes())
    head = {k: header[k] for k in ("format", "format_version", "config", "tags")}
    text = canonical(head) + (team / "tiny.v1/plan.jsonl").read_bytes()
    assert header["recipe_id"] == hashlib.sha256(text).hexdigest()
    assert header["config"] == json.loads((team / "set/index.json").read_bytes())["config"]


def test_another_machine_gives_the_same_recipe(team: Path, tmp_path: Path) -> None:
    """Other folders, other workers, a cache of its own: the same bytes."""
    there = write_corpora(tmp_path / "elsewhere/corpora")
    build(there, tmp_path / "set", "--noises", 2, "--jobs", 2)
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", "--jobs", 2)
    assert set_hashes(tmp_path / "tiny.v1") == set_hashes(team / "tiny.v1")


def test_licences_artists_and_hashes_of_files_are_not_in_the_id(
    corpora: Corpora, team: Path, tmp_path: Path
) -> None:
    there = write_corpora(tmp_path / "corpora")
    table = there.music / "metadata.csv"
    table.write_text(table.read_text().replace("CC-BY-4.0", "CC0-1.0").replace("artist1", "x y"))
    build(there, tmp_path / "set", "--noises", 2)
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", "--jobs", 1)
    ours, theirs = (json.loads((r / "tiny.v1/recipe.json").read_bytes()) for r in (tmp_path, team))
    assert ours["recipe_id"] == theirs["recipe_id"]
    assert ours["plan_sha256"] != theirs["plan_sha256"]


def test_no_audio_no_absolute_path_and_sha256sum_agrees(team: Path) -> None:
    recipe = team / "tiny.v1"
    checked = subprocess.run(
        ["sha256sum", "-c", "manifest-sha256.txt"], cwd=recipe, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    names = "recipe.json plan.jsonl sources.jsonl sketches.jsonl tags.json attribution.csv"
    names += " croissant.json README.md manifest-sha256.txt"
    assert {path.name for path in recipe.iterdir()} == set(names.split())
    for path in recipe.iterdir():
        text = path.read_text()
        assert str(team) not in text and "/tmp" not in text and "/home" not in text
    assert sum(path.stat().st_size for path in recipe.iterdir()) < 12 * 4000
    run("verify", recipe)


def test_the_attribution_names_every_source(team: Path, corpora: Corpora) -> None:
    with (team / "tiny.v1/attribution.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    used = {("music", r["music"]["clip_id"]) for r in rows(team / "tiny.v1")}
    used |= {("noise", n["clip_id"]) for r in rows(team / "tiny.v1") for n in r["noises"]}
    assert {(line["role"], line["clip_id"]) for line in lines} == used
    music = [line for line in lines if line["role"] == "music"]
    assert {line["licence_url"] for line in music} == {
        "https://creativecommons.org/licenses/by/4.0/"
    }
    assert {line["licence"] for line in lines if line["role"] == "noise"} == {"unknown"}
    assert {line["artist"] for line in music} == {"artist0", "artist1", "artist2"}


def test_a_card_says_what_how_and_under_which_licence(team: Path) -> None:
    text = (team / "tiny.v1/README.md").read_text()
    for part in ("# tiny.v1", "Recipe id: `", "10, 0, -10 dB", "2 noise(s)", "| guitar |",
                 "prep thaw tiny.v1 --music folder=DIR --noise folder=DIR --out SET",
                 "train evaluate", "| music | folder | CC-BY-4.0 | 12 |"):  # fmt: skip
        assert part in text, part


def test_croissant_names_every_file_and_where_it_comes_from(team: Path) -> None:
    record = json.loads((team / "tiny.v1/croissant.json").read_bytes())
    header = json.loads((team / "tiny.v1/recipe.json").read_bytes())
    assert record["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert record["wasGeneratedBy"]["identifier"] == f"sha256:{header['recipe_id']}"
    assert [origin["name"] for origin in record["wasDerivedFrom"]] == ["A folder of audio"]
    for file in record["distribution"]:
        data = (team / "tiny.v1" / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()


def test_frozen_twice_is_nothing_to_do_and_a_change_is_refused(
    corpora: Corpora, team: Path, tmp_path: Path
) -> None:
    before = set_hashes(team / "tiny.v1")
    done = run("freeze", team / "set", "-o", team / "tiny.v1", "--jobs", 1)
    assert "was there already" in done.output
    assert set_hashes(team / "tiny.v1") == before
    build(corpora, tmp_path / "set", "--noises", 2, "--seed", 1)
    done = run("freeze", tmp_path / "set", "-o", team / "tiny.v1", "--jobs", 1, code=1)
    assert "a frozen set does not change: write a change as tiny.v2" in done.output
    assert set_hashes(team / "tiny.v1") == before
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v2", "--jobs", 1)


def test_a_freeze_that_was_killed_is_no_recipe_and_goes_on(
    team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(url: str, files: dict[str, bytes]) -> None:
        write_files(url, dict(list(files.items())[:4]))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(freeze, "write_files", killed)
        run("freeze", team / "set", "-o", tmp_path / "tiny.v1", "--jobs", 1, code=130)
    with pytest.raises(ManifestError, match="expected a file manifest-sha256"):
        load_recipe(str(tmp_path / "tiny.v1"))
    run("freeze", team / "set", "-o", tmp_path / "tiny.v1", "--jobs", 1)
    assert set_hashes(tmp_path / "tiny.v1") == set_hashes(team / "tiny.v1")


@pytest.mark.parametrize(
    ("out", "said"),
    [("tiny", "such as tiny.v1"), ("tiny.v0", "ends in its version"), ("a b.v1", "'.', '_', '-'")],
)
def test_a_recipe_has_a_version(team: Path, tmp_path: Path, out: str, said: str) -> None:
    done = run("freeze", team / "set", "-o", tmp_path / out, code=2)
    assert said in done.output


def test_freeze_refuses_what_is_no_set_a_damaged_one_and_a_foreign_folder(
    team: Path, tmp_path: Path
) -> None:
    assert "expected a set" in run("freeze", tmp_path, "-o", tmp_path / "a.v1", code=1).output
    (tmp_path / "b.v1").mkdir()
    (tmp_path / "b.v1/thesis.tex").write_text("mine")
    done = run("freeze", team / "set", "-o", tmp_path / "b.v1", "--jobs", 1, code=1)
    assert "expected a new folder, found thesis.tex" in done.output
    (tmp_path / "c.v1").write_text("a file")
    done = run("freeze", team / "set", "-o", tmp_path / "c.v1", "--jobs", 1, code=1)
    assert "expected a folder, got a file" in done.output
    shutil.copytree(team / "set", tmp_path / "set")
    tar = tmp_path / "set/shard-000001.tar"
    data = bytearray(tar.read_bytes())
    data[20_000] ^= 0x55
    tar.write_bytes(data)
    done = run("freeze", tmp_path / "set", "-o", tmp_path / "d.v1", "--jobs", 1, code=1)
    assert "shard-000001.tar" in done.output and not (tmp_path / "d.v1").exists()


def test_the_corpora_add_names_and_sizes_and_leave_the_id(
    corpora: Corpora, team: Path, tmp_path: Path
) -> None:
    run("freeze", team / "set", "-o", tmp_path / "tiny.v1", *roots(corpora), "--jobs", 1)
    assert (
        load_recipe(str(tmp_path / "tiny.v1")).header == load_recipe(str(team / "tiny.v1")).header
    )
    for line in (tmp_path / "tiny.v1/sources.jsonl").read_text().splitlines():
        source = json.loads(line)
        folder = corpora.music if source["role"] == "music" else corpora.noise
        data = (folder / source["path"]).read_bytes()
        assert source["n_bytes"] == len(data)
        assert source["sha256"] == hashlib.sha256(data).hexdigest()
    done = run(
        "freeze", team / "set", "-o", tmp_path / "x.v1", "--music", f"mtat={tmp_path}", code=2
    )
    assert "--music folder=DIR: expected the folder of folder" in done.output


def test_a_part_of_a_recipe_is_not_frozen_as_another(
    corpora: Corpora, team: Path, tmp_path: Path
) -> None:
    keys = [row["key"] for row in rows(team / "tiny.v1")][:5]
    header = json.loads((team / "tiny.v1/recipe.json").read_bytes())
    subset = {"recipe_id": header["recipe_id"], "accept": "identical", "keys": keys}
    (tmp_path / "s.json").write_text(json.dumps(subset))
    run("thaw", team / "tiny.v1", *roots(corpora), "--subset", tmp_path / "s.json", "--jobs", 1,
        "--out", tmp_path / "part")  # fmt: skip
    done = run("freeze", tmp_path / "part", "-o", tmp_path / "part.v1", "--jobs", 1, code=1)
    assert "one thawed from tiny.v1" in done.output and "--common-subset" in done.output
    run("thaw", team / "tiny.v1", *roots(corpora), "--jobs", 1, "--out", tmp_path / "whole")
    done = run("freeze", tmp_path / "whole", "-o", tmp_path / "again.v1", "--jobs", 1, "--json")
    assert json.loads(done.stdout)["recipe_id"] == header["recipe_id"]


def test_verify_names_what_was_changed(team: Path, tmp_path: Path) -> None:
    shutil.copytree(team / "tiny.v1", tmp_path / "tiny.v1")
    (tmp_path / "tiny.v1/README.md").write_text("other words")
    (tmp_path / "tiny.v1/more.txt").write_text("x")
    done = run("verify", tmp_path / "tiny.v1", code=1)
    assert "README.md: expected SHA-256" in done.output
    assert "more.txt: a file that manifest-sha256.txt does not list" in done.output
    (tmp_path / "tiny.v1/more.txt").unlink()
    (tmp_path / "tiny.v1/README.md").write_bytes((team / "tiny.v1/README.md").read_bytes())
    (tmp_path / "tiny.v1/plan.jsonl").write_text("{}\n")
    done = run("verify", tmp_path / "tiny.v1", code=1)
    said = done.output.splitlines()
    assert len(said) == 2 and said[0].startswith("plan.jsonl: expected SHA-256 "), "said once"
    assert said[1] == "tiny.v1: 8 files, 0 examples checked as rows: 1 problems"
    reseal(tmp_path / "tiny.v1", plan__jsonl=(team / "tiny.v1/plan.jsonl").read_bytes()
           .replace(b'"gain_db":-', b'"gain_db":-1'))  # fmt: skip
    done = run("verify", tmp_path / "tiny.v1", code=1)
    assert "a change is a new version" in done.output


def test_a_recipe_may_lie_in_an_object_store(corpora: Corpora, team: Path, tmp_path: Path) -> None:
    run("freeze", team / "set", "-o", "memory://recipes/tiny.v1", "--jobs", 1)
    run("freeze", team / "set", "-o", "memory://recipes/tiny.v1", "--jobs", 1)
    run("verify", "memory://recipes/tiny.v1")
    run("thaw", "memory://recipes/tiny.v1", *roots(corpora), "--out", tmp_path / "out", "--jobs", 1)
    assert "0 changed" in run("diff", "memory://recipes/tiny.v1", tmp_path / "out").output
