"""Thawing: stored gains, verdicts within 1 LSB, tools of another version, resumption, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from frozen_teams import (
    build,
    canonical,
    copied,
    expected_verdicts,
    reseal,
    restate,
    roots,
    rows,
    run,
    thaw,
)
from plain_reader import read_set
from tiny_corpora import Corpora, set_hashes

from pipeline.frozen.load import load_recipe
from pipeline.frozen.match import Workers, wanted_sources
from pipeline.frozen.own_copy import match_sources
from pipeline.frozen.replay import replay
from pipeline.frozen.rows import source_keys
from pipeline.sources import Sources
from pipeline.stages import thaw as thaw_stage
from pipeline.stages.match import ThawOptions
from pipeline.stages.thaw import thaw_recipe


@pytest.fixture(scope="module")
def recipe(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("thaw")
    build(corpora, root / "set")
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


def test_a_flipped_bit_of_a_source_is_within_1_lsb_and_counted(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    team = copied(corpora, tmp_path)
    path = team.music / "clips/clip00.wav"  # 22,050 Hz: not resampled, so a sample stays one
    samples, rate = soundfile.read(path, dtype="int16")
    samples[[1000, 30_000]] += 1
    soundfile.write(path, samples, rate)
    found = thaw(recipe, team, tmp_path / "strict", code=1)
    (odd,) = [v for v in found["verdicts"] if v["verdict"] != "identical"]
    assert (odd["verdict"], odd["source"], odd["clips"][0]) == (
        "1lsb",
        "other",
        "folder clips/clip00",
    )

    taken = thaw(recipe, team, tmp_path / "lax", "--accept", "1lsb")
    assert taken["complete"]
    ours = {e.key: e for e in read_set(tmp_path / "lax")}[odd["key"]]
    theirs = {e.key: e for e in read_set(recipe.parent / "set")}[odd["key"]]
    apart = {n: ours.pcm[n].astype(int) - theirs.pcm[n] for n in ours.pcm}
    assert max(np.abs(d).max() for d in apart.values()) == 1
    assert odd["n_differ"] == sum(np.count_nonzero(d) for d in apart.values())
    run("verify", tmp_path / "lax", "--jobs", 1)


def test_the_stored_gains_are_used_and_nothing_is_measured_again(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    """A recipe whose gains are not what one would measure is rendered with them all the same."""
    plan = rows(recipe)
    for row in plan:
        row["gain_db"] -= 1.0
        row["mix_gains_db"] = [gain - 2.0 for gain in row["mix_gains_db"]]
        row["noises"][0]["level_db"] += 2.0
    forged = restate(Path(shutil.copytree(recipe, tmp_path / "x.v1")), plan)
    done = thaw(forged, corpora, tmp_path / "out", code=1)
    assert done["tally"]["verdicts"]["differs"] == 12

    # The gains cancel in the mixes but for the common one, by 10^(-1/20).
    theirs = {e.key: e for e in read_set(recipe.parent / "set")}
    sources = Sources({"folder": str(corpora.music)}, {"folder": str(corpora.noise)})
    loaded = load_recipe(str(forged))
    wanted = wanted_sources(loaded.rows, loaded.sources)
    matches = match_sources(wanted, sources, decoder="soundfile", workers=Workers()).matches
    for row in loaded.rows:
        found = replay(
            row, tuple(matches[k] for k in source_keys(row)), loaded.config, sources.roots
        )
        for name, pcm in found.pcms.items():
            expected = theirs[row.key].pcm[name] * 10 ** (-1 / 20)
            assert np.max(np.abs(pcm - expected)) < 1.5


def test_another_version_of_a_tool_is_said_before_rendering(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    header = json.loads((recipe / "recipe.json").read_bytes())
    header["tools"] |= {"decoder": "soundfile 0.1 (1.0)", "resampler": "soxr 0.0", "encoder": "x"}
    forged = reseal(
        Path(shutil.copytree(recipe, tmp_path / "x.v1")), recipe__json=canonical(header)
    )
    done = run("thaw", forged, *roots(corpora), "--out", tmp_path / "out", "--jobs", 1)
    said = [line for line in done.stderr.splitlines() if "the recipe was made with" in line]
    decoder, resampler = said
    assert decoder.startswith("decoder: the recipe was made with soundfile 0.1 (1.0), here is")
    assert "2,257 samples" in decoder and "install the recipe's version" in decoder
    assert resampler.startswith("resampler: ") and "many LSB" in resampler
    assert "encoder" not in done.stderr  # FLAC bytes differ between encoders, samples do not


def test_a_copy_of_another_kind_is_said_before_rendering(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    team = copied(corpora, tmp_path)
    for path in sorted(team.music.rglob("*.wav")):
        samples, _ = soundfile.read(path)
        soundfile.write(path.with_suffix(".ogg"), samples, 48_000)
        path.unlink()
    (team.music / "metadata.csv").unlink()
    done = run("thaw", recipe, *roots(team), "--out", tmp_path / "out", "--jobs", 1, code=1)
    said = "this copy of folder is of another kind: OGG/VORBIS at 48,000 Hz"
    assert said in done.stderr and "expect 'differs'" in done.stderr


def test_with_nothing_accepted_there_is_no_set(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    team = copied(corpora, tmp_path)
    for path in team.noise.glob("*.wav"):
        path.write_bytes(path.read_bytes()[:200])
    found = thaw(recipe, team, tmp_path / "out", "--table", tmp_path / "v.parquet", code=1)
    expected = {(v["verdict"], v["source"]) for v in found["verdicts"]}
    assert expected == {("differs", "other")} and found["out"] == ""
    assert list((tmp_path / "out").iterdir()) == []
    assert (tmp_path / "v.parquet").exists()


def test_a_finished_thaw_is_not_taken_for_another(
    recipe: Path, corpora: Corpora, tmp_path: Path
) -> None:
    team = copied(corpora, tmp_path)
    away = team.music / "clips/clip07.wav"
    away.rename(tmp_path / "clip07.wav")
    out = tmp_path / "out"
    thaw(recipe, team, out, code=1)
    (tmp_path / "clip07.wav").rename(away)  # found again
    done = run("thaw", recipe, *roots(team), "--out", out, "--jobs", 1, code=1)
    assert "other options, tools or sources; choose another --out or --overwrite" in done.output
    assert thaw(recipe, team, out, "--overwrite")["complete"]
    assert set_hashes(out).keys() >= {"recipe.json", "verdicts.parquet"}
    done = run("thaw", recipe, *roots(team), "--out", team.music, "--jobs", 1, code=1)
    assert "expected a new folder" in done.output
    done = run("thaw", recipe, *roots(team), "--out", recipe.parent / "set", "--jobs", 1, code=1)
    assert "holds a thaw of this recipe" in done.output or "holds another set" in done.output
    (tmp_path / "busy/.plan").mkdir(parents=True)
    (tmp_path / "busy/.plan/thaw.json").write_text('{"recipe_id":"another"}')
    done = run("thaw", recipe, *roots(team), "--out", tmp_path / "busy", "--jobs", 1, code=1)
    assert "the beginning of another set" in done.output


def test_names_and_sizes_spare_reading_and_find_the_same(
    corpora: Corpora, recipe: Path, tmp_path: Path
) -> None:
    run("freeze", recipe.parent / "set", "-o", tmp_path / "sized.v1", *roots(corpora), "--jobs", 1)
    team = copied(corpora, tmp_path)
    (team.music / "metadata.csv").unlink()
    for number, path in enumerate(sorted(team.music.rglob("clip??.*"))):
        path.rename(team.music / f"track {number}{path.suffix}")
    with (team.music / "track 3.wav").open("ab") as file:
        file.write(b"\0\0")  # after the end of the samples: only the sound is left to find it by
    expected = expected_verdicts(rows(recipe), {("music", "clips/clip03"): "retagged"})
    for number, source in enumerate((tmp_path / "sized.v1", recipe)):
        found = thaw(source, team, tmp_path / str(number))
        assert {v["key"]: (v["verdict"], v["source"]) for v in found["verdicts"]} == expected


def test_real_recordings_freeze_and_thaw(corpora: Corpora, tmp_path: Path) -> None:
    run("build-shards", "--music", f"folder={corpora.music}", "--noise", "none", "--split", "test",
        "--out", tmp_path / "set", "--jobs", 1)  # fmt: skip
    run("freeze", tmp_path / "set", "-o", tmp_path / "real.v1", "--jobs", 1)
    given = ("--music", f"folder={corpora.music}", "--jobs", 1)
    run("thaw", tmp_path / "real.v1", *given, "--out", tmp_path / "out")
    ours, theirs = set_hashes(tmp_path / "out"), set_hashes(tmp_path / "set")
    assert ours["shard-000000.tar"] == theirs["shard-000000.tar"]


def test_a_thaw_in_memory_needs_one_process(
    recipe: Path, corpora: Corpora, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = Sources({"folder": str(corpora.music)}, {"folder": str(corpora.noise)})
    with monkeypatch.context() as patch:
        patch.setattr(thaw_stage, "finish_thaw", None)  # dies with all shards rendered
        with pytest.raises(TypeError):
            thaw_recipe(str(recipe), "memory://thawed", sources, ThawOptions())
    found = thaw_recipe(str(recipe), "memory://thawed", sources, ThawOptions())
    assert found.n_resumed == 4
    assert found.tally.complete
    run("verify", "memory://thawed", "--jobs", 1)
    done = run("thaw", recipe, *roots(corpora), "--out", "memory://x", "--jobs", 2, code=2)
    assert "expected --jobs 1" in done.output
