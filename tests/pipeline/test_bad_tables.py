"""Bad tables of metadata, with the words the user reads: a bad row costs its clip alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from prep_runner import run_prep, scan_of
from tiny_corpora import Corpora, chord, generator, write_audio, write_table

RATE = 22_050


def test_files_that_a_table_names_and_nobody_has(corpora: Corpora, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    (music / "clips/clip03.wav").unlink()
    ran = scan_of(music)
    (reject,) = ran.record["rejected"]
    assert (reject["path"], reject["reason"]) == ("clips/clip03.wav", "missing")
    assert "expected clips/clip03.wav" in reject["detail"]


def test_ragged_metadata_costs_its_row(corpora: Corpora, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    with (music / "metadata.csv").open("a") as file:
        file.write("clips/clip00.wav,train\n../../etc/passwd,train,,,,\nx.wav,dev,,,,\n")
    ran = scan_of(music)
    assert ran.record["clips"] == 16 and ran.record["rejects"] == {"ragged": 3}
    details = [r["detail"] for r in ran.record["rejected"]]
    assert "metadata.csv line 18: expected 6 columns, got 2" in details
    assert any("line 19: expected a path below the folder" in d for d in details)
    assert any("line 20: expected a split, one of train, valid, test, any" in d for d in details)


def test_metadata_without_its_columns(corpora: Corpora, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    (music / "metadata.csv").write_text("file,tag\na.wav,rock\n")
    ran = run_prep("scan", "--corpus", "folder", "--root", music)
    assert ran.status == 1
    assert ran.error == (
        "prep: metadata.csv: expected a header with one column path, got: file, tag; the first "
        "line should name columns of path,split,tags,song,artist,licence"
    )


def test_a_table_that_names_one_file_twice(corpora: Corpora, tmp_path: Path) -> None:
    write_audio(tmp_path / "music/a.wav", chord(generator("a"), 3.0, RATE), RATE)
    write_table(tmp_path / "music", ["a.wav,train,,,,", "a.wav,test,,,,"])
    ran = scan_of(tmp_path / "music")
    assert ran.record["clips"] == 1 and ran.record["rejects"] == {"duplicate-id": 1}
