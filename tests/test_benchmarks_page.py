"""docs/benchmarks.md is what the benchmarks last said, and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_holds_the_last_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    monkeypatch.delitem(sys.modules, "run_all", raising=False)
    import run_all

    benches = json.loads(run_all.FIGURES.read_text(encoding="utf-8"))
    assert run_all.PAGE.read_text(encoding="utf-8") == run_all.page(benches, {})
    empty = run_all.page({}, {"s3": "moto is not installed"})
    assert "No figures of s3: moto is not installed." in empty
    assert "No figures of build: it was not run." in empty
