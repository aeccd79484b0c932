"""``make demo`` from nothing: every bar that the trainer must reach, with the demo preset."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
N_BARS = 8


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_the_demo_reaches_every_bar(tmp_path: Path) -> None:
    """Corpora, shards, report, four taggers, their table: a quarter of an hour on two cores."""
    demo, programs = tmp_path / "demo", Path(sys.executable).parent
    command = ["make", "-C", str(ROOT), "demo", f"DEMO={demo}", f"BIN={programs}", "STAMP="]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("MISSED")] == []
    assert sum(line.startswith("reached") for line in lines) == N_BARS
    assert (demo / "report.html").is_file()
    assert list((demo / "runs" / "table").glob("*.png"))
