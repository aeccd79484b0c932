"""Finding sources: by name, content and sound, in official layouts with another naming."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from frozen_teams import build, reseal, roots, run
from tiny_corpora import Corpora
from tiny_official import id3, write_official

from pipeline.frozen import sound_search
from pipeline.frozen.match import with_recipe_options
from pipeline.sources import Sources


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_official(tmp_path_factory.mktemp("official"))
    given = ("--music", f"mtat={root}/mtat", "--noise", f"musan={root}/musan", "--jobs", 1)
    run("build-shards", *given, "--spec", "mtat-test-x-musan-k2.v1", "--out", root / "set")
    run("freeze", root / "set", "-o", root / "mtat.v1", "--jobs", 1)
    return root


def states(recipe: Path, mtat: Path, musan: Path, *options: object) -> dict[str, Any]:
    given = ("--music", f"mtat={mtat}", "--noise", f"musan={musan}", "--jobs", 1)
    done = run("thaw", recipe, *given, "--match-only", "--json", *options, code=1)
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_an_official_layout_below_other_folders_is_found_by_name(
    official: Path, tmp_path: Path
) -> None:
    shutil.copytree(official / "mtat", tmp_path / "mtat")
    (tmp_path / "mtat/mp3").mkdir()
    for folder in "0def":
        (tmp_path / "mtat" / folder).rename(tmp_path / "mtat/mp3" / folder)
    shutil.copytree(official / "musan", tmp_path / "musan/musan")
    given = ("--music", f"mtat={tmp_path}/mtat", "--noise", f"musan={tmp_path}/musan", "--jobs", 1)
    done = run("thaw", official / "mtat.v1", *given, "--out", tmp_path / "out")
    assert "music mtat: 6 sources: 6 found by name" in done.stderr
    assert "6 of 6 examples accepted" in done.stdout


def test_without_metadata_files_are_found_by_content(official: Path, tmp_path: Path) -> None:
    mtat = tmp_path / "mtat"
    mtat.mkdir()
    for number, path in enumerate(sorted((official / "mtat").glob("[def]/*.mp3"))):
        shutil.copyfile(path, mtat / f"{number:03d}.mp3")
    given = ("--music", f"mtat={mtat}", "--noise", f"musan={official}/musan", "--jobs", 1)
    done = run("thaw", official / "mtat.v1", *given, "--out", tmp_path / "out")
    assert "mtat: files are looked for by content: " in done.stderr
    assert "6 sources: 0 found by name, 6 by content" in done.stderr
    assert "is named otherwise" in done.stderr


def test_another_clip_of_the_corpus_is_not_tried_for_a_missing_one(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(official / "mtat", tmp_path / "mtat")
    gone = sorted((tmp_path / "mtat").glob("[def]/*.mp3"))[0]
    gone.rename(tmp_path / "mtat/unknown.mp3")
    tried: list[tuple[str, ...]] = []
    real = sound_search.try_files

    def spy(trial: sound_search.Trial, *arguments: Any) -> Any:
        tried.append(trial.paths)
        return real(trial, *arguments)

    monkeypatch.setattr(sound_search, "try_files", spy)
    (tmp_path / "mtat/unknown.mp3").write_bytes(
        id3("renamed and retagged") + (tmp_path / "mtat/unknown.mp3").read_bytes()
    )
    record = states(official / "mtat.v1", tmp_path / "mtat", official / "musan")
    assert tried == [("unknown.mp3",)]
    how = {source["how"] for source in record["sources"]}
    assert how == {"name", "sound"}


def test_a_noise_is_found_by_sound_looped_or_not(corpora: Corpora, tmp_path: Path) -> None:
    build(corpora, tmp_path / "set", "--noises", 2)
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", "--jobs", 1)
    noise = Path(shutil.copytree(corpora.noise, tmp_path / "noise"))
    for number in (2, 6):  # 0.7 s, looped; 12 s
        path = noise / f"noise{number}.wav"
        (noise / f"sound effect {number}.wav").write_bytes(path.read_bytes() + b"\0\0\0\0")
        path.unlink()
    team = Corpora(corpora.music, noise, corpora.musan)
    done = run("thaw", tmp_path / "tiny.v1", *roots(team), "--out", tmp_path / "out", "--jobs", 1,
               "--json")  # fmt: skip
    record = json.loads(done.stdout)
    assert record["complete"] and record["tally"]["sources"]["retagged"] > 0


def test_too_many_missing_sources_are_not_searched_by_sound(
    corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(corpora, tmp_path / "set")
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", "--jobs", 1)
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    for path in music.glob("clips/clip0?.wav"):
        path.rename(path.with_name(f"x{path.name}"))
        with path.with_name(f"x{path.name}").open("ab") as file:
            file.write(b"\0\0")
    monkeypatch.setattr(sound_search, "MAX_TRIALS", 3)
    team = Corpora(music, corpora.noise, corpora.musan)
    done = run("thaw", tmp_path / "tiny.v1", *roots(team), "--match-only", "--jobs", 1, code=1)
    assert "missing sources are too many to be looked for by sound" in done.stdout


def test_the_readers_options_of_a_recipe_are_taken_but_no_files() -> None:
    given = Sources({}, {}, corpus_options={"mtat_untagged": "keep"})
    config = {
        "corpus_options": {
            "mtat_untagged": "drop",
            "musan_subset": "noise,speech",
            "folder_csv": "/etc/passwd",
            "audioset_drop_labels_file": "/etc/passwd",
            "__class__": "x",
        }
    }
    found = with_recipe_options(given, config).corpus_options
    assert found == {"mtat_untagged": "keep", "musan_subset": "noise,speech"}
    assert (
        with_recipe_options(given, {"corpus_options": "x"}).corpus_options == given.corpus_options
    )


def test_a_file_name_in_a_recipe_is_only_looked_up(corpora: Corpora, tmp_path: Path) -> None:
    """A hint that names a file outside the listing, or another clip, leads nowhere harmful."""
    build(corpora, tmp_path / "set", "--limit", 3)
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", *roots(corpora), "--jobs", 1)
    lines = [json.loads(x) for x in (tmp_path / "tiny.v1/sources.jsonl").read_text().splitlines()]
    for line in lines:
        line["path"] = "not/in/the/listing.wav"
    data = b"".join(
        json.dumps(x, sort_keys=True, separators=(",", ":")).encode() + b"\n" for x in lines
    )
    reseal(tmp_path / "tiny.v1", sources__jsonl=data)
    run("thaw", tmp_path / "tiny.v1", *roots(corpora), "--out", tmp_path / "out", "--jobs", 1)


def test_the_table_of_a_music_folder_is_not_looked_for_among_the_noises(
    corpora: Corpora, tmp_path: Path
) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    table = (music / "metadata.csv").rename(tmp_path / "songs.csv")
    given = ("--music", f"folder={music}", "--noise", f"folder={corpora.noise}", "--jobs", 1,
             "--folder-csv", table)  # fmt: skip
    run("build-shards", *given, "--limit", 2, "--out", tmp_path / "set")
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", "--jobs", 1)
    said = run("thaw", tmp_path / "tiny.v1", *given, "--out", tmp_path / "out").stderr
    assert "looked for by content" not in said and said.count("found by name") == 2
