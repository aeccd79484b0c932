"""``prep`` as a program: doctor, demo corpora, an empty folder, errors, interrupts, odd names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plain_reader import check_snrs, read_set
from prep_runner import run_prep
from tiny_corpora import Corpora, chord, generator, set_hashes, write_audio

from pipeline.demo import plan_demo_corpora
from pipeline.demo.plans import CorpusPlan
from pipeline.stages import doctor

PREP = Path(sys.executable).parent / "prep"


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
    monkeypatch.setattr(doctor, "EXTRAS", {"no-such-package": "dask"})
    assert "not found; install the extra: pip install -e '.[dask]' in the" in run_prep("doctor").out


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


def test_a_terminal_of_another_encoding(corpora: Corpora, tmp_path: Path) -> None:
    root = tmp_path / "music"
    write_audio(root / "łódź.wav", chord(generator("odd"), 2.9, 22_050), 22_050)
    ran = run_prep("build-shards", "--music", f"folder={root}", "--noise",
                   f"folder={corpora.noise}", "--snr", 0, "--jobs", 1, "--out", tmp_path / "set",
                   )  # fmt: skip
    assert ran.status == 0, ran.err
    key = read_set(tmp_path / "set")[0].key
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    for arguments in (("explain", str(tmp_path / "set"), key), ("thaw", "--help")):
        done = subprocess.run([str(PREP), *arguments], capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert b"\\u0142" in done.stdout or arguments[0] == "thaw"


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
