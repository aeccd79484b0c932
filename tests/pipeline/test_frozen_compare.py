"""diff and explain: what differs between sets and recipes, and where one example comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile
from frozen_teams import build, restate, roots, rows, run
from plain_reader import read_set
from tiny_corpora import Corpora

from manifests.errors import ManifestError
from pipeline.frozen.explain import render_members


@pytest.fixture(scope="module")
def team(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compare")
    build(corpora, root / "set", "--noises", 2)
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root


def test_a_set_and_its_recipe_are_the_same(team: Path) -> None:
    done = run("diff", team / "set", team / "tiny.v1")
    assert "12 examples in common, 0 added, 0 removed, 0 changed" in done.output
    assert "recipe ids are the same" in done.output


def test_every_kind_of_change_is_named(team: Path, tmp_path: Path) -> None:
    plan = rows(team / "tiny.v1")
    plan[0]["tags"] = ["slow"] if plan[0]["tags"] != ["slow"] else ["piano"]
    plan[1]["gain_db"] -= 0.5
    plan[2]["music"]["start_s"] += 0.1
    plan[3]["noises"] = plan[3]["noises"][::-1]
    plan[4]["pcm_sha256"][0] = "0" * 64
    plan[5]["key"] = "folder-new-00000000-0"
    header = json.loads((team / "tiny.v1/recipe.json").read_bytes())
    changed = restate(
        Path(shutil.copytree(team / "tiny.v1", tmp_path / "x.v1")),
        plan,
        config=header["config"] | {"seed": 5},
        tools=header["tools"] | {"numpy": "0.1"},
    )
    record = json.loads(run("diff", team / "tiny.v1", changed, "--json", code=1).stdout)
    assert record["added"] == ["folder-new-00000000-0"]
    assert record["removed"] == [rows(team / "tiny.v1")[5]["key"]]
    found = {e["key"]: [c["what"] for c in e["changes"]] for e in record["changed"]}
    assert found == {
        plan[0]["key"]: ["tags"],
        plan[1]["key"]: ["gains"],
        plan[2]["key"]: ["music"],
        plan[3]["key"]: ["noises", "gains"],
        plan[4]["key"]: ["samples of clean"],
    }
    assert record["config"] == [{"what": "seed", "before": "0", "after": "5"}]
    assert [c["what"] for c in record["tools"]] == ["numpy"]
    text = run("diff", team / "tiny.v1", changed, code=1).output
    assert "11 examples in common, 1 added, 1 removed, 5 changed" in text
    for part in (
        "option seed: 0 -> 5",
        "1 examples with other tags",
        "recipe ids differ",
        "+ folder-new",
    ):
        assert part in text, part


def test_other_tools_alone_are_no_difference(team: Path, tmp_path: Path) -> None:
    header = json.loads((team / "tiny.v1/recipe.json").read_bytes())
    tools = header["tools"] | {"numpy": "0.1"}
    other = restate(
        Path(shutil.copytree(team / "tiny.v1", tmp_path / "x.v1")),
        rows(team / "tiny.v1"),
        tools=tools,
    )
    assert "tool numpy: 0.1 -> " in run("diff", other, team / "tiny.v1").output
    done = run("diff", team / "set", tmp_path, code=1)
    assert "expected a set or a recipe" in done.output


def test_another_seed_and_other_licences_show(corpora: Corpora, team: Path, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    table = music / "metadata.csv"
    table.write_text(table.read_text().replace("CC-BY-4.0", "CC0-1.0").replace("piano", "flute"))
    build(Corpora(music, corpora.noise, corpora.musan), tmp_path / "set", "--noises", 2)
    text = run("diff", team / "set", tmp_path / "set", code=1).output
    assert "12 examples with other licences" in text
    assert "tags added: flute" in text and "tags removed: piano" in text


def test_explain_tells_the_whole_lineage(team: Path) -> None:
    example = read_set(team / "set")[0]
    record = example.record
    done = run("explain", team / "set", example.key)
    for part in (
        example.key,
        record["music"]["clip_id"],
        record["music"]["source_sha256"],
        "licence CC-BY-4.0",
        f"by {record['music']['artist']}",
        f"song {record['music']['song']}",
        "noise 2 of 2",
        f"brought to 0 dBFS RMS by {record['noises'][1]['level_db']:+.4f} dB",
        f"common gain {record['gain_db']:+.4f} dB",
        f"achieved {record['members']['noisy.snr_-10']['achieved_db']:+.3f} dB",
        f"samples SHA-256 {example.sha256('clean')[:16]}",
        "licence unknown",
    ):
        assert part in done.output, part
    in_recipe = json.loads(run("explain", team / "tiny.v1", example.key, "--json").stdout)
    in_set = json.loads(run("explain", team / "set", example.key, "--json").stdout)
    assert in_recipe["record"] is None and in_set["record"]["key"] == example.key
    assert in_recipe["row"] == in_set["row"] and in_recipe["recipe_id"] == in_set["recipe_id"]


def test_rendered_members_are_the_set_s(team: Path, tmp_path: Path) -> None:
    example = read_set(team / "set")[5]
    run("explain", team / "set", example.key, "--render", tmp_path / "wavs")
    for name, pcm in example.pcm.items():
        samples, rate = soundfile.read(tmp_path / f"wavs/{example.key}.{name}.wav", dtype="int16")
        assert rate == 22_050 and (samples == pcm).all()
    done = run("explain", team / "tiny.v1", example.key, "--render", tmp_path / "x", code=1)
    assert "got a recipe, which holds none; prep thaw it first" in done.output


def test_an_unknown_key_names_near_ones(team: Path) -> None:
    key = read_set(team / "set")[0].key
    done = run("explain", team / "set", key[:-3], code=1)
    assert f"did you mean {key}" in done.output
    assert "expected the key of an example" in run("explain", team / "set", "", code=1).output


def test_a_forged_sidecar_does_not_pass_as_the_example(team: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(team / "set", tmp_path / "set"))
    sidecar = folder / "shard-000000.json"
    record = json.loads(sidecar.read_bytes())
    record["examples"][0]["record"]["music"]["artist"] = "somebody"
    sidecar.write_text(json.dumps(record))
    with pytest.raises(ManifestError, match="expected the sidecar of the shard, got another"):
        render_members(str(folder), record["examples"][0]["key"], str(tmp_path / "out"))
    with pytest.raises(ManifestError, match="key"):
        render_members(str(folder), "../x", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_verify_takes_a_subset(corpora: Corpora, team: Path, tmp_path: Path) -> None:
    header = json.loads((team / "tiny.v1/recipe.json").read_bytes())
    keys = [row["key"] for row in rows(team / "tiny.v1")]
    subset = {"recipe_id": header["recipe_id"], "accept": "identical", "keys": keys[:4]}
    (tmp_path / "s.json").write_text(json.dumps(subset))
    run("thaw", team / "tiny.v1", *roots(corpora), "--subset", tmp_path / "s.json", "--jobs", 1,
        "--out", tmp_path / "part")  # fmt: skip
    run("verify", tmp_path / "part", "--subset", tmp_path / "s.json", "--jobs", 1)
    (tmp_path / "all.json").write_text(json.dumps(subset | {"keys": keys}))
    done = run("verify", tmp_path / "part", "--subset", tmp_path / "all.json", "--jobs", 1, code=1)
    assert "8 are not there" in done.output
    (tmp_path / "other.json").write_text(json.dumps(subset | {"recipe_id": "0" * 64}))
    done = run("verify", team / "tiny.v1", "--subset", tmp_path / "other.json", code=1)
    assert "expected recipe 000000000000…, as the subset" in done.output
    done = run("subset", tmp_path / "s.json", tmp_path / "other.json", "-o", tmp_path / "x", code=1)
    assert "examples of different recipes are not the same" in done.output
    (tmp_path / "rest.json").write_text(json.dumps(subset | {"keys": keys[4:]}))
    done = run("subset", tmp_path / "s.json", tmp_path / "rest.json", "-o", tmp_path / "x", code=1)
    assert "expected at least one example in common, got none" in done.output
    done = run("subset", tmp_path / "s.json", "-o", tmp_path / "x", code=2)
    assert "expected two subsets or more" in done.output and not (tmp_path / "x").exists()
