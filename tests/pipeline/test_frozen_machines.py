"""A recipe gives the same samples on other workers, another engine, and a lesser processor.

Measured on an AMD EPYC with AVX-512 (numpy 2.4, whose X86_V3, X86_V4 and AVX512_ICL code was turned
off; scipy 1.17, soxr 1.1, torchaudio 2.11): with numpy's switch alone, with each of the others
besides, and with all at once, all members came out identical, for soxr as for torchaudio.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frozen_teams import TeamB, build, roots, run
from plain_reader import read_set
from tiny_corpora import Corpora, set_hashes

from pipeline.fingerprint import tools
from pipeline.frozen import thaw_task

LEAST = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Prescott",
    "SOXR_USE_SIMD": "0",
    "SOXR_USE_SIMD32": "0",
    "SOXR_USE_SIMD64": "0",
}
"""What libraries other than numpy choose by the processor, turned to the least they know."""

PROGRAM = """
import json, os, sys
from numpy._core._multiarray_umath import __cpu_features__ as found
off = os.environ["NPY_DISABLE_CPU_FEATURES"].split()
assert off and not any(found[name] for name in off), "the switch does nothing"
from pipeline.cli import main
main()
"""


@pytest.fixture(scope="module")
def one_process(
    recipe: Path, other: TeamB, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    out = tmp_path_factory.mktemp("one") / "set"
    run("thaw", recipe, *roots(other.corpora), "--out", out, "--jobs", 1, code=1)
    return set_hashes(out)


def test_two_workers_thaw_the_same_bytes(
    recipe: Path, other: TeamB, one_process: dict[str, str], tmp_path: Path
) -> None:
    run("thaw", recipe, *roots(other.corpora), "--out", tmp_path / "set", "--jobs", 2, code=1)
    assert set_hashes(tmp_path / "set") == one_process


@pytest.mark.slow
def test_dask_thaws_the_same_bytes(
    recipe: Path, other: TeamB, one_process: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra 'dask'")
    run("thaw", recipe, *roots(other.corpora), "--out", tmp_path / "set", "--jobs", 2,
        "--engine", "dask", code=1)  # fmt: skip
    assert set_hashes(tmp_path / "set") == one_process


def test_a_worker_with_other_tools_renders_nothing(
    recipe: Path, corpora: Corpora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a dask worker on a machine with another version of the decoder would be."""
    monkeypatch.setattr(thaw_task, "tools", lambda read: {**tools(read), "decoder": "other 1"})
    done = run("thaw", recipe, *roots(corpora), "--out", tmp_path / "set", "--jobs", 1, code=1)
    assert "this worker has other tools than the thaw: decoder: expected soundfile" in done.output
    assert "got other 1; install the same versions on all workers" in done.output
    assert not list((tmp_path / "set").glob("shard-*"))


def dispatched() -> list[str]:
    """Return the CPU features that numpy chooses code by here; its baseline has no switch."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]


def thaw_on_a_lesser_processor(recipe: Path, team: Corpora, out: Path) -> dict[str, Any]:
    arguments = ("thaw", recipe, *roots(team), "--accept", "1lsb", "--jobs", 1, "--json",
                 "--out", out)  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env={**os.environ, **LEAST, "NPY_DISABLE_CPU_FEATURES": " ".join(dispatched())},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.mark.skipif(not dispatched(), reason="numpy has no dispatched CPU feature here")
@pytest.mark.parametrize("resampler", ["soxr", pytest.param("torchaudio", marks=pytest.mark.slow)])
def test_a_lesser_processor_thaws_the_same_samples_or_says_how_many_are_1_lsb_off(
    corpora: Corpora, tmp_path: Path, resampler: str
) -> None:
    """Band filter, resampling of 16, 44.1 and 48 kHz, looping, sums of two noises, FLAC."""
    build(corpora, tmp_path / "set", "--noises", 2, "--band-limit", 7_200, "--resampler", resampler,
          "--examples-per-shard", 12)  # fmt: skip
    run("freeze", tmp_path / "set", "-o", tmp_path / "tiny.v1", "--jobs", 1)
    found = thaw_on_a_lesser_processor(tmp_path / "tiny.v1", corpora, tmp_path / "thawed")
    assert found["complete"] and found["tally"]["n_examples"] == 12
    verdicts = {v["key"]: v for v in found["verdicts"]}
    theirs = {example.key: example.pcm for example in read_set(tmp_path / "set")}
    for example in read_set(tmp_path / "thawed"):
        apart = {name: pcm.astype(int) - theirs[example.key][name]
                 for name, pcm in example.pcm.items()}  # fmt: skip
        n_differ = sum(np.count_nonzero(difference) for difference in apart.values())
        assert max(np.max(np.abs(difference)) for difference in apart.values()) <= 1
        verdict = verdicts[example.key]
        assert verdict["verdict"] == ("1lsb" if n_differ else "identical")
        assert verdict["n_differ"] == pytest.approx(n_differ, rel=1.0)
