"""Builds that fail: a full disk, sources that change, an audit that finds something."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile
from tiny_corpora import Corpora, MakePlan, Roots, set_hashes

from manifests import signal, store
from manifests.audio import AudioError
from manifests.errors import ManifestError
from pipeline.config import RunOptions
from pipeline.fingerprint import tools
from pipeline.finish import finish_set
from pipeline.planned import Plan
from pipeline.stages.build import build_set

PREP = Path(sys.executable).parent / "prep"


@pytest.fixture(scope="module")
def small(make_plan: MakePlan) -> Plan:
    return make_plan(noises=2, limit=6, examples_per_shard=1, snrs_db=(0.0,))


@pytest.fixture(scope="module")
def whole(small: Plan, roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("whole") / "set"
    build_set(small, str(out), roots)
    return set_hashes(out)


@pytest.fixture
def fill_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``fill_disk(n)``: the n-th file of the build half fits on the disk, none after it."""

    def install(n_files: int) -> None:
        original, written = store.partial_file, []

        @contextmanager
        def full(url: str) -> Iterator[Path]:
            written.append(url)
            with original(url) as path:
                yield path
                if len(written) >= n_files:
                    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("manifests.store.partial_file", full)

    return install


@pytest.mark.parametrize("n_files", [1, 2, 8, 9, 12, 13, 20, 21, 25, 26])
def test_the_disk_fills_up_at_any_file(
    small: Plan,
    roots: Roots,
    whole: dict[str, str],
    tmp_path: Path,
    fill_disk: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    n_files: int,
) -> None:
    """1 header, 6 row files, 6 x (tar, sidecar), then 7 files of the set: 26."""
    out = tmp_path / "set"
    fill_disk(n_files)
    with pytest.raises(ManifestError) as caught:
        build_set(small, str(out), roots)
    text = str(caught.value)
    assert text.startswith(f"{out}/") and "cannot be written: No space left on device" in text
    if 8 <= n_files <= 19:
        assert text.endswith("; finished shards are kept: make room and run the same command again")
    seen = {n: sha for n, sha in set_hashes(out).items() if not n.startswith(".plan/")}
    assert seen.items() <= whole.items() and "index.json" not in seen
    monkeypatch.undo()
    monkeypatch.setenv("ROBUST_TAGGER_CACHE", str(tmp_path / "cache"))
    build_set(small, str(out), roots)
    assert set_hashes(out) == whole


def test_a_real_limit_on_the_size_of_files(
    corpora: Corpora, tmp_path: Path, scan_cache: Path
) -> None:
    """The console program under RLIMIT_FSIZE: one line that names the file, exit status 1."""
    out = tmp_path / "set"
    command = [str(PREP), "build-shards", "--music", f"folder={corpora.music}"]
    command += ["--noise", f"folder={corpora.noise}", "--snr", "0", "--jobs", "1"]
    command += ["--examples-per-shard", "3", "--out", str(out)]
    limit = 300_000

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"prep: {out}/shard-00000")
    assert ".tar: cannot be written: File too large; finished shards are kept" in last
    assert "Traceback" not in done.stderr
    assert not list(out.glob("*.tar")) and not list(out.glob(".*.partial"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def own(corpora: Corpora, tmp_path: Path) -> Corpora:
    """Corpora that a test may change."""
    return Corpora(
        Path(shutil.copytree(corpora.music, tmp_path / "music")),
        Path(shutil.copytree(corpora.noise, tmp_path / "noise")),
        corpora.musan,
    )


def own_roots(own: Corpora) -> Roots:
    return {"music": {"folder": str(own.music)}, "noise": {"folder": str(own.noise)}}


def same_size_and_time(path: Path) -> None:
    """Change one sample, and make it look untouched."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("role", ["music", "noise"])
def test_a_source_that_changed_after_the_scan_stops_the_build(
    own: Corpora, make_plan: MakePlan, tmp_path: Path, jobs: int, role: str
) -> None:
    plan = make_plan(own.music, own.noise, limit=4, examples_per_shard=1, snrs_db=(0.0,))
    span = plan.rows[-1].music if role == "music" else plan.rows[-1].noises[0]
    path = (own.music if role == "music" else own.noise) / span.path
    same_size_and_time(path)
    with pytest.raises(AudioError) as caught:
        build_set(plan, str(tmp_path / "set"), own_roots(own), run=RunOptions(jobs=jobs))
    assert str(caught.value).startswith(f"{span.path}: expected SHA-256 {span.source_sha256[:12]}…")
    assert not (tmp_path / "set/index.json").exists()
    again = make_plan(own.music, own.noise, limit=4, examples_per_shard=1, snrs_db=(0.0,))
    assert again.sha256() != plan.sha256(), "the scan cache still holds the old hash"
    with pytest.raises(ManifestError, match="but the corpora changed"):
        build_set(again, str(tmp_path / "set"), own_roots(own))
    build_set(again, str(tmp_path / "set"), own_roots(own), run=RunOptions(overwrite=True))


def test_a_source_that_is_put_back_is_enough(
    own: Corpora, make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan(own.music, own.noise, limit=4, examples_per_shard=1, snrs_db=(0.0,))
    path = own.music / plan.rows[2].music.path
    path.rename(tmp_path / "away")
    with pytest.raises(AudioError) as caught:
        build_set(plan, str(tmp_path / "set"), own_roots(own))
    assert str(caught.value).startswith(
        f"{plan.rows[2].music.path}: expected the file that was scanned, found none; put the file "
        "back"
    )
    (tmp_path / "away").rename(path)
    assert build_set(plan, str(tmp_path / "set"), own_roots(own)).n_resumed == 2


def test_a_source_that_no_longer_decodes_says_what_to_do(
    own: Corpora, make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under another libsndfile; the next run has to measure it again."""
    plan = make_plan(own.music, own.noise, limit=2, snrs_db=(0.0,))
    path, forgotten = plan.rows[0].noises[0].path, []

    def fail(*_: object) -> None:
        raise AudioError("undecodable", f"{path}: Format not recognised")

    monkeypatch.setattr("pipeline.render.read_noise", fail)
    monkeypatch.setattr("pipeline.stages.build.forget", forgotten.append)
    with pytest.raises(AudioError) as caught:
        build_set(plan, str(tmp_path / "set"), own_roots(own))
    assert str(caught.value) == (
        f"{path}: Format not recognised; it decoded when it was scanned: run the command again "
        "with --overwrite to scan it again"
    )
    assert forgotten == [str(own.noise / path)]


def test_a_source_replaced_by_another_format_is_named(
    own: Corpora, make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan(own.music, own.noise, limit=2, snrs_db=(0.0,))
    path = own.music / plan.rows[0].music.path
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples, rate, subtype="FLOAT", format="WAV")
    with pytest.raises(AudioError, match=rf"^{plan.rows[0].music.path}: expected SHA-256"):
        build_set(plan, str(tmp_path / "set"), own_roots(own))


def test_an_audit_that_finds_something_stops_the_build(
    small: Plan, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mixer that is 0.2 dB off is found in what was written, and the example is named."""
    original = signal.round_gain_db
    monkeypatch.setattr("manifests.signal.round_gain_db", lambda gain: original(gain) + 0.2)
    with pytest.raises(ManifestError) as caught:
        build_set(small, str(tmp_path / "set"), roots)
    name = f"shard-000000.tar: {small.rows[0].key}.noisy.snr_0"
    assert str(caught.value).startswith(f"{name}: expected 0.0 dB within 0.05 dB, got -0.2")
    assert not list((tmp_path / "set").glob("shard-*"))


def test_an_example_that_cannot_be_rendered_is_named(
    small: Plan, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(noises: object) -> None:
        raise ManifestError("noise is silent over the span: expected a finite level")

    monkeypatch.setattr("manifests.signal.sum_noises", fail)
    with pytest.raises(ManifestError) as caught:
        build_set(small, str(tmp_path / "set"), roots)
    row = small.rows[0]
    assert str(caught.value) == (
        f"{row.key} ({row.music.path}): noise is silent over the span: expected a finite level"
    )


def test_a_worker_with_other_tools_is_refused(
    small: Plan, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster whose machines do not agree."""
    monkeypatch.setattr("pipeline.shard_task.tools", lambda read: {**tools(read), "numpy": "0"})
    with pytest.raises(ManifestError, match=r"this worker has other tools than the build: numpy: "):
        build_set(small, str(tmp_path / "set"), roots)


def test_too_many_rejects_stop_before_anything_is_written(
    own: Corpora, make_plan: MakePlan, tmp_path: Path
) -> None:
    (own.noise / "noise0.wav").write_bytes(b"")
    plan = make_plan(own.music, own.noise)
    with pytest.raises(ManifestError, match=r"^folder: expected at most 4 % rejects, got 1 of 24"):
        build_set(plan, str(tmp_path / "set"), own_roots(own), run=RunOptions(max_reject_percent=4))
    assert not (tmp_path / "set").exists()


def test_a_shard_that_vanishes_before_the_end_is_named(
    small: Plan,
    roots: Roots,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: dict[str, str],
) -> None:
    original = finish_set

    def lose(plan: Plan, out: str, header: object) -> object:
        (Path(out) / "shard-000003.json").unlink()
        return original(plan, out, header)  # type: ignore[arg-type]

    monkeypatch.setattr("pipeline.stages.build.finish_set", lose)
    with pytest.raises(ManifestError, match=r"shard-000003\.json: cannot be read"):
        build_set(small, str(tmp_path / "set"), roots)
    monkeypatch.setattr("pipeline.stages.build.finish_set", original)
    assert build_set(small, str(tmp_path / "set"), roots).n_resumed == 5
    assert set_hashes(tmp_path / "set") == whole
