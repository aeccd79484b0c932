"""``prep plan``, ``build-shards``, ``scan``, ``verify``, ``doctor``: what they print and return."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from plain_reader import check_snrs, read_set
from prep_runner import Ran, run_prep
from tiny_corpora import Corpora, chord, generator, set_hashes, write_audio, write_mtat

from pipeline.demo import plan_demo_corpora
from pipeline.demo.plans import CorpusPlan
from pipeline.stages import doctor

PREP = Path(sys.executable).parent / "prep"


@pytest.fixture
def sources(corpora: Corpora) -> tuple[str, ...]:
    return ("--music", f"folder={corpora.music}", "--noise", f"folder={corpora.noise}")


def build(sources: tuple[str, ...], out: Path, *arguments: object) -> Ran:
    return run_prep("build-shards", *sources, "--jobs", 1, "--out", out, *arguments)


def test_plan_for_people(sources: tuple[str, ...]) -> None:
    ran = run_prep("plan", *sources, "--jobs", 1, "--noises", 2, "--examples-per-shard", 3)
    lines = ran.out.splitlines()
    assert ran.status == 0
    assert lines[0].startswith(
        "folder-train-x-folder-k2: 12 examples (8 source, 4 target), 0.01 h x 6 members, about "
    )
    assert lines[0].endswith(", 5 shards")
    assert "  band: up to 7,200 Hz" in lines and "  rejects: none" in lines
    assert "  tags: 4 kept, 0 left out" in lines
    assert any(line.startswith("  does not feed 1 x 1 ranks x 2 workers: sour") for line in lines)
    assert "tags of folder:" in lines and "  guitar  test 2, train 6  kept" in lines


def test_plan_writes_nothing(
    sources: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_prep("plan", *sources, "--jobs", 1).status == 0
    assert list(tmp_path.iterdir()) == []


def test_plan_for_machines(sources: tuple[str, ...]) -> None:
    ran = run_prep("plan", *sources, "--jobs", 1, "--json", "--limit", 5)
    assert ran.status == 0 and ran.err == ""
    (found,) = ran.record["sets"]
    assert (found["examples"], found["shards"], found["band_hz"]) == (5, 2, 7200.0)
    assert found["domains"].keys() == {"source", "target"} and ran.record["stops"] == []
    assert len(found["plan_sha256"]) == 64 and found["estimated_bytes"] > 100_000


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--batch-size 4", 0, "feeds 1 x 1 ranks x 2 workers: source 8 a rank (2 batches of 4"),
        ("--batch-size 5", 1, "too few: 4 for a global batch of 5; use batches of at most 4"),
        ("--nodes 2 --gpus 2", 1, "does not feed 2 x 2 ranks x 2 workers"),
        ("--gpus 2 --batch-size 2 --workers 7", 0, "feeds 1 x 2 ranks x 7 workers"),
        ("", 0, "does not feed 1 x 1 ranks x 2 workers"),
    ],
)
def test_plan_says_whether_a_set_feeds_a_job(
    sources: tuple[str, ...], arguments: str, status: int, words: str
) -> None:
    """Exit status 1 only where the shape of a job was asked about."""
    ran = run_prep("plan", *sources, "--jobs", 1, *arguments.split())
    assert ran.status == status and words in ran.out


def test_plan_says_where_build_shards_would_stop(corpora: Corpora, tmp_path: Path) -> None:
    music = Path(shutil.copytree(corpora.music, tmp_path / "music"))
    (music / "clips/clip00.wav").write_bytes(b"")
    arguments = ("--music", f"folder={music}", "--noise", f"folder={corpora.noise}", "--jobs", 1,
                 "--max-reject-percent", 4)  # fmt: skip
    ran = run_prep("plan", *arguments)
    assert ran.status == 1
    would, _, why = ran.out.splitlines()[-1].partition(": ")
    assert would == "build-shards would stop"
    assert why.startswith("folder: expected at most 4 % rejects, got 1 of 24 clips: 1 empty")
    assert run_prep("plan", *arguments, "--json").record["stops"] == [why]
    ran = run_prep("build-shards", *arguments, "--out", tmp_path / "set")
    assert ran.status == 1 and ran.error == f"prep: {why}"
    assert not (tmp_path / "set").exists()


def test_build_for_people(sources: tuple[str, ...], tmp_path: Path) -> None:
    ran = build(sources, tmp_path / "set", "--limit", 4, "--examples-per-shard", 2)
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("folder-train-x-folder-k1: 4 examples, 0.00 h of music, 0.02 h of")
    assert lines[-1] == f"  {tmp_path}/set" and "rejects: none" in lines[2]
    assert "build folder-train-x-folder-k1: 4/4 examples" in ran.err
    assert check_snrs(read_set(tmp_path / "set")) == 20


def test_build_for_machines_prints_json_alone(sources: tuple[str, ...], tmp_path: Path) -> None:
    ran = build(sources, tmp_path / "set", "--limit", 2, "--json")
    assert ran.status == 0 and ran.err == ""
    (found,) = ran.record["sets"]
    assert found["out"] == str(tmp_path / "set") and found["n_examples"] == 2
    assert ran.record["left_out"] == []


def test_build_again_says_that_it_is_done(sources: tuple[str, ...], tmp_path: Path) -> None:
    build(sources, tmp_path / "set", "--limit", 2, "--name", "mine")
    before = set_hashes(tmp_path / "set")
    ran = build(sources, tmp_path / "set", "--limit", 2, "--name", "mine")
    assert ran.status == 0 and ran.out.startswith("mine: 2 examples")
    assert "shards, 2 of them already done" in ran.out or "1 of them already done" in ran.out
    assert set_hashes(tmp_path / "set") == before


def test_build_over_another_set(sources: tuple[str, ...], tmp_path: Path) -> None:
    build(sources, tmp_path / "set", "--limit", 2, "--snr", 0)
    ran = build(sources, tmp_path / "set", "--limit", 2, "--snr", 0, "--seed", 9)
    assert (ran.status, ran.out) == (1, "")
    assert ran.error == (
        f"prep: {tmp_path}/set: holds a set of another option: seed was 0, now 9; choose another "
        "--out or --overwrite"
    )
    ran = build(sources, tmp_path / "set", "--limit", 2, "--snr", 0, "--seed", 9, "--overwrite")
    assert ran.status == 0
    assert json.loads((tmp_path / "set/index.json").read_text())["config"]["seed"] == 9


def test_the_plan_of_plan_is_the_one_that_build_builds(
    sources: tuple[str, ...], tmp_path: Path
) -> None:
    arguments = ("--limit", 3, "--noises", 4, "--excerpt-s", "2.7", "--seed", 5)
    planned = run_prep("plan", *sources, "--jobs", 1, "--json", *arguments).record["sets"][0]
    build(sources, tmp_path / "set", *arguments)
    index = json.loads((tmp_path / "set/index.json").read_text())
    assert planned["plan_sha256"] == index["plan_sha256"] and planned["config"] == index["config"]


@pytest.fixture(scope="module")
def mtat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mtat(tmp_path_factory.mktemp("mtat"))


def test_a_suite_of_what_is_there(corpora: Corpora, mtat: Path, tmp_path: Path) -> None:
    """MTAT and MUSAN alone: one role of the thesis for each k, the others are named."""
    sources = ("--music", f"mtat={mtat}", "--noise", f"musan={corpora.musan}")
    arguments = ("--suite", "thesis", *sources, "--noises", "1,2", "--jobs", 1)
    ran = run_prep("build-shards", *arguments, "--out", tmp_path / "suite")
    assert ran.status == 0, ran.err
    assert "left out train: needs --noise audioset" in ran.out
    assert "left out pretrain-train: needs --music mtg-jamendo and --noise audioset" in ran.out
    for k in (1, 2):
        suite = json.loads((tmp_path / f"suite/k{k}/suite.json").read_text())
        assert suite == {"test-musan": "test-musan"}
        found = read_set(tmp_path / f"suite/k{k}/test-musan")
        assert check_snrs(found) == 5 * 5 and {e.record["split"] for e in found} == {"test"}
    assert "2 sets, 10 examples, " in ran.out
    planned = run_prep("plan", *arguments, "--json").record
    assert [s["name"] for s in planned["sets"]] == ["thesis-test-musan-k1", "thesis-test-musan-k2"]
    assert len(planned["left_out"]) == 6
    again = run_prep("build-shards", *arguments, "--out", tmp_path / "suite", "--json")
    assert [s["n_resumed"] for s in again.record["sets"]] == [1, 1]
    verified = run_prep("verify", tmp_path / "suite", "--jobs", 1, "--json")
    assert verified.status == 0 and [v["n_examples"] for v in verified.record] == [5, 5]


def test_shard_size_of_a_suite_can_be_chosen(corpora: Corpora, mtat: Path) -> None:
    arguments = ("--suite", "demo", "--music", f"mtat={mtat}", "--noise", f"musan={corpora.musan}",
                 "--jobs", 1, "--json")  # fmt: skip
    assert run_prep("plan", *arguments).record["sets"][0]["shards"] == 1
    chosen = run_prep("plan", *arguments, "--examples-per-shard", 2).record["sets"][0]
    assert chosen["shards"] == 3 and chosen["config"]["examples_per_shard"] == 2


def test_rejects_of_any_set_stop_a_suite_before_the_first_is_built(
    corpora: Corpora, mtat: Path, tmp_path: Path
) -> None:
    musan = Path(shutil.copytree(corpora.musan, tmp_path / "musan"))
    (musan / "noise/free-sound/noise-free-sound-0001.wav").write_bytes(b"RIFF")
    arguments = ("--suite", "thesis", "--music", f"mtat={mtat}", "--noise", f"musan={musan}",
                 "--jobs", 1, "--out", tmp_path / "suite")  # fmt: skip
    ran = run_prep("build-shards", *arguments)
    assert ran.status == 1 and "musan: expected at most 5 % rejects, got 1 of 5 clips" in ran.error
    assert not (tmp_path / "suite").exists()


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


def test_doctor_for_people_and_machines() -> None:
    ran = run_prep("doctor")
    assert ran.status == 0 and "ok codec flac" in ran.out.replace("  ", " ")
    for name in ("torch", "resampler soxr", "program sox", "cores", "free space", "scan cache"):
        assert name in ran.out
    record = run_prep("doctor", "--json").record
    assert record["codec flac"]["found"] == "lossless round trip"
    assert record["python"] == {
        "found": sys.version.split()[0], "ok": True, "optional": False, "hint": ""
    }  # fmt: skip


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: None)
    ran = run_prep("doctor")
    assert ran.status == 0, "sox and ffmpeg are optional"
    assert "not found; optional; Debian and Ubuntu: apt-get install ffmpeg" in ran.out
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    ran = run_prep("doctor")
    assert ran.status == 1 and "!! no-such-package" in ran.out
    assert "not found; pip install 'no-such-package'" in ran.out


def test_demo_corpora_for_people_and_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every corpus cut to its first two files; the real ones have tests of their own."""
    plans = [replace(one, files=one.files[:2]) for one in plan_demo_corpora(3)]
    asked: list[tuple[int, int, int]] = []

    def planned(seed: int, train_scale: int, pretrain_songs: int) -> list[CorpusPlan]:
        asked.append((seed, train_scale, pretrain_songs))
        return plans

    monkeypatch.setattr("pipeline.cli.demo.plan_demo_corpora", planned)
    monkeypatch.setattr("pipeline.demo.write.plan_demo_corpora", planned)
    words = ("--seed", 3, "--train-scale", 2, "--pretrain-songs", 5, "--jobs", 1)
    ran = run_prep("demo-corpora", tmp_path / "demo", *words)
    assert ran.status == 0 and set(asked) == {(3, 2, 5)} and "demo corpora: 10/10 files" in ran.err
    assert ran.out.startswith("mtat: 2 files, ") and "files are broken on purpose\n" in ran.out
    ran = run_prep("demo-corpora", tmp_path / "two", "--seed", 3, "--jobs", 1, "--json")
    assert ran.err == "" and ran.record["corpora"]["musan"]["files"] == 2
    assert set_hashes(tmp_path / "demo") == set_hashes(tmp_path / "two")
    ran = run_prep("demo-corpora", tmp_path / "demo", "--jobs", 1)
    assert ran.status == 1 and "expected a new or empty folder" in ran.error


def test_commands_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run_prep("scan", "--corpus", "folder", "--root", ".")
    assert ran.status == 1 and ran.error.startswith(
        f"prep: folder: expected audio files in {tmp_path}, got none; the folder should hold:"
    )
    for name in ("mtat", "mtg-jamendo", "audioset", "musan"):
        ran = run_prep("scan", "--corpus", name, "--root", ".")
        assert ran.status == 1 and f"{name}: expected " in ran.error and "should hold:" in ran.error
    ran = run_prep("verify", ".")
    assert ran.status == 1 and "expected a set with index.json, found none" in ran.error
    ran = run_prep("plan", "--music", "folder=.", "--noise", "none")
    assert ran.status == 1 and list(tmp_path.iterdir()) == []


def test_an_unexpected_error_is_one_line_and_the_traceback_comes_with_debug(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("pipeline.cli.doctor.examine", fail)
    ran = run_prep("doctor")
    assert (ran.status, ran.err) == (
        1,
        "prep: unexpected RuntimeError: broken; 'prep --debug' shows where\n",
    )
    with pytest.raises(RuntimeError, match="broken"):
        run_prep("--debug", "doctor")


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.cli.doctor.examine", interrupt)
    ran = run_prep("doctor")
    assert (ran.status, ran.err) == (
        130,
        "prep: interrupted; run the same command again to go on\n",
    )


def test_the_console_program(built: Path, tmp_path: Path) -> None:
    """Exit statuses and streams of the real thing, and no traceback of ours."""
    environment = {**os.environ, "ROBUST_TAGGER_CACHE": str(tmp_path)}

    def shell(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(PREP), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    done = shell("verify", built, "--files-only", "--jobs", 1, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)[0]["n_files"] == 16
    done = shell("scan", "--corpus", "mtat", "--root", tmp_path)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith("prep: mtat: expected annotations_final.csv in ")
    done = shell("--debug", "scan", "--corpus", "mtat", "--root", tmp_path)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_a_reader_that_goes_away_is_no_error(mtat: Path, tmp_path: Path) -> None:
    command = f"{PREP} scan --corpus mtat --root {mtat} --no-audio --json | head -c 1"
    environment = {**os.environ, "ROBUST_TAGGER_CACHE": str(tmp_path)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment)
    assert done.stdout == "{" and done.stderr == ""


def test_odd_names_of_files_and_folders(corpora: Corpora, tmp_path: Path) -> None:
    """Spaces, unicode, %, #, quotes, a leading dash, brackets, line ends, links, capitals."""
    root = tmp_path / "Müsik 100% #1 [neu] (a&b) 'q'"
    names = ["-dash.wav", "a b.wav", "é ü.wav", "100%.wav", "#1.wav", "q'\"uote.wav", "[x].wav",
             "日本.wav", "日本語.wav", "a;b=c,d.wav", "UPPER.WAV", "sub dir/ä.wav", "MiXed.FlaC",
             "two\nlines.wav", "tab\t.wav", "%41.wav", "s3::a.wav"]  # fmt: skip
    for number, name in enumerate(names):
        write_audio(root / name, chord(generator("odd", number), 2.9, 22_050), 22_050)
    (root / "link.wav").symlink_to(root / "a b.wav")
    (tmp_path / "linked").symlink_to(root)
    out = tmp_path / "set # 1 %20 ü"
    arguments = ("--noise", f"folder={corpora.noise}", "--snr", 0, "--halves", "none", "--jobs", 2,
                 "--examples-per-shard", 5)  # fmt: skip
    ran = run_prep("build-shards", "--music", f"folder={root}/", *arguments, "--out", f"{out}/")
    assert ran.status == 0, ran.err
    found = read_set(out)
    assert check_snrs(found) == len(names) + 1
    ids = {example.record["music"]["clip_id"] for example in found}
    assert ids == {name.rsplit(".", 1)[0] for name in [*names, "link.wav"]}
    other = tmp_path / "other"
    run_prep("build-shards", "--music", f"folder={tmp_path}/linked", *arguments, "--out", other)
    assert set_hashes(other) == set_hashes(out)
    assert run_prep("verify", f"{out}/", "--jobs", 2).status == 0
