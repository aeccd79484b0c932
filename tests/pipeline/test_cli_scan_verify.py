"""``prep scan`` and ``prep verify``: what they print and return."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prep_runner import run_prep
from tiny_corpora import Corpora, set_hashes


def test_scan_for_people_and_machines(corpora: Corpora) -> None:
    arguments = ("scan", "--corpus", "folder", "--root", corpora.music, "--jobs", 1)
    ran = run_prep(*arguments)
    assert ran.status == 0
    assert ran.out.startswith("folder: 16 clips, 0.02 h, 12 songs, 3 artists, 4 tags\n")
    assert "  splits: 12 train, 4 test\n  rejects: none\n" in ran.out
    ran = run_prep(*arguments, "--json")
    assert ran.err == "" and ran.record["clips"] == 16
    assert ran.record["rates_hz"] == {"22050": 8, "16000": 4, "44100": 4}
    assert ran.record["licences"] == {"CC-BY-4.0": 16} and ran.record["rejected"] == []


def test_names_from_elsewhere_are_plain_text_on_a_terminal(
    corpora: Corpora, tmp_path: Path
) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    text = (music / "metadata.csv").read_text().replace("piano", "pi\x1b[31mano")
    (music / "metadata.csv").write_text(text + "gone\x1b[2J.wav,train,,,,\n")
    given = ("--music", f"folder={music}", "--noise", f"folder={corpora.noise}", "--jobs", 1)
    for ran in (
        run_prep("plan", *given),
        run_prep("scan", "--corpus", "folder", "--root", music, "--jobs", 1),
    ):
        assert "\x1b" not in ran.out and "\\x1b" in ran.out


def test_scan_lists_every_reject_for_machines(corpora: Corpora, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    with (music / "metadata.csv").open("a") as file:
        file.write("/x.wav,train,,,,\n" * 1_200)
    ran = run_prep("scan", "--corpus", "folder", "--root", music, "--no-audio", "--json")
    assert len(ran.record["rejected"]) == ran.record["rejects"]["ragged"] == 1_200


def test_scan_without_audio_opens_no_file(corpora: Corpora, mtat: Path) -> None:
    ran = run_prep("scan", "--corpus", "mtat", "--root", mtat, "--no-audio", "--json")
    assert ran.record["clips"] == 11 and ran.record["rates_hz"] == {"0": 11}


@pytest.mark.parametrize("name", ["clips.parquet", "clips.csv", "dir.v1/clips.parquet"])
def test_scan_writes_tables(corpora: Corpora, tmp_path: Path, name: str) -> None:
    table = tmp_path / name
    ran = run_prep("scan", "--corpus", "folder", "--root", corpora.music, "--jobs", 1, "-o", table)
    assert ran.status == 0, ran.err
    rejects = table.with_name(table.name.replace("clips.", "clips.rejects."))
    assert set_hashes(tmp_path).keys() == {str(p.relative_to(tmp_path)) for p in (table, rejects)}
    if table.suffix == ".parquet":
        assert pq.read_table(table).num_rows == 16 and pq.read_table(rejects).num_rows == 0
    else:
        assert len(table.read_text().splitlines()) == 17


@pytest.mark.parametrize("name", ["clips", "clips.xlsx", "dir.v1/clips"])
def test_scan_refuses_other_tables_before_it_scans(tmp_path: Path, name: str) -> None:
    ran = run_prep("scan", "--corpus", "folder", "--root", "/does/not/exist", "-o", tmp_path / name)
    assert ran.status == 2
    assert ran.error == (
        f"prep: -o {tmp_path}/{name}: expected a name that ends in .parquet or .csv"
    )


def test_scan_of_a_misspelt_corpus() -> None:
    ran = run_prep("scan", "--corpus", "mtta", "--root", ".")
    assert ran.status == 2 and ran.error == (
        "prep: mtta: expected a corpus, one of mtat, mtg-jamendo, audioset, musan, folder; did you "
        "mean mtat?"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metadata", "floder=/x"), "--metadata floder: expected folder, the corpus that is"),
        (("--mtat-untagged", "drop"), "--mtat-untagged: of no corpus that is read (folder)"),
    ],
)
def test_scan_refuses_options_of_other_corpora(
    corpora: Corpora, arguments: tuple[str, ...], message: str
) -> None:
    ran = run_prep("scan", "--corpus", "folder", "--root", corpora.music, *arguments)
    assert ran.status == 2 and ran.error.startswith(f"prep: {message}")


def test_a_config_file_may_serve_other_corpora_too(corpora: Corpora, tmp_path: Path) -> None:
    shared = tmp_path / "shared.toml"
    shared.write_text('mtat-untagged = "drop"\nmetadata = ["mtat=/x"]\n')
    ran = run_prep("scan", "--corpus", "folder", "--root", corpora.music, "--config", shared)
    assert ran.status == 0, ran.err
    shared.write_text('mtat-untagged = "drop"\nsnr = ["5"]\n')
    music = f"folder={corpora.music}"
    ran = run_prep("plan", "--music", music, "--noise", "none", "--config", shared)
    assert ran.status == 0, ran.err


def test_scan_of_a_scheduler_without_dask(corpora: Corpora) -> None:
    ran = run_prep(
        "scan", "--corpus", "folder", "--root", corpora.music, "--scheduler", "tcp://x:1"
    )
    assert ran.status == 2 and "expected --engine dask beside it, got loky" in ran.error


def test_verify_for_people_and_machines(built: Path) -> None:
    ran = run_prep("verify", built, "--jobs", 1)
    assert (ran.status, ran.out) == (
        0,
        "folder-train-x-folder-k2: 16 files, 12 examples decoded and measured: verified\n",
    )
    ran = run_prep("verify", built, "--jobs", 1, "--files-only")
    assert ran.out == "folder-train-x-folder-k2: 16 files: verified\n"
    ran = run_prep("verify", built, built, "--jobs", 1, "--json")
    assert ran.err == "" and [v["problems"] for v in ran.record] == [[], []]


def test_verify_of_a_damaged_set(built: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(built, tmp_path / "copy"))
    data = bytearray((copy / "shard-000002.tar").read_bytes())
    data[100_000] ^= 1
    (copy / "shard-000002.tar").write_bytes(data)
    ran = run_prep("verify", built, copy, "--jobs", 1)
    lines = ran.out.splitlines()
    assert ran.status == 1 and lines[0].endswith(": verified")
    assert lines[1].startswith("shard-000002.tar: expected SHA-256")
    assert any(line.startswith("shard-000002.tar: folder-clips_clip") for line in lines)
    assert lines[-1].endswith(f"{len(lines) - 2} problems")
    ran = run_prep("verify", copy, "--jobs", 1, "--json")
    assert ran.status == 1 and len(ran.record[0]["problems"]) == len(lines) - 2


def test_verify_of_what_is_no_set(tmp_path: Path) -> None:
    ran = run_prep("verify", tmp_path, "--jobs", 1)
    assert ran.status == 1 and f"{tmp_path}" in ran.error and "index.json" in ran.error
    (tmp_path / ".plan").mkdir()
    ran = run_prep("verify", tmp_path, "--jobs", 1)
    assert "its build is not finished: run the same prep build-shards command again" in ran.error
