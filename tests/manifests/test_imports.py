"""The contract is light: importing it loads neither torch nor what only one module needs."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import manifests

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "torchaudio", "sox", "pandas", "click", "webdataset", "pipeline", "trainer"}


def test_importing_every_module_loads_nothing_heavy() -> None:
    names = [f"manifests.{module.name}" for module in pkgutil.iter_modules(manifests.__path__)]
    assert "manifests.signal" in names and "manifests.resample" in names
    code = (
        "import importlib, json, sys\n"
        "[importlib.import_module(name) for name in sys.argv[1:]]\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "manifests" in loaded
    assert not HEAVY & loaded


def test_all_that_is_announced_is_there() -> None:
    for name in manifests.__all__:
        assert getattr(manifests, name) is not None
