"""Level curves in the scan cache: written in base 64, read in the base 85 of older versions too."""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path

import pytest

from manifests.measure import Measurement
from pipeline.scan_cache import ScanCache
from pipeline.stages import doctor

CURVE = bytes(range(256)) * 3
FOUND = Measurement("ab" * 32, 10, "WAV/PCM_16", 16_000, 1, 160_000, 0.5, 0.0, 7_000.0, CURVE)
KEY = ("/music/a.wav", "10|20|0|v")


def test_a_curve_of_every_byte_comes_back(tmp_path: Path) -> None:
    cache = ScanCache(tmp_path)
    cache.put([(*KEY, FOUND)])
    assert cache.get([KEY]) == {KEY: FOUND}
    cache.close()


def test_without_a_home_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run under users that have no entry in /etc/passwd."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("ROBUST_TAGGER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    cache = ScanCache()
    assert cache.problem.endswith("Could not determine home directory.; scanning without it")
    cache.put([(*KEY, FOUND)])
    assert cache.get([KEY]) == {KEY: FOUND}
    cache.close()
    assert "none, as no home folder is known" in {
        finding.found.split(" (")[0] for finding in doctor.examine()
    }


def test_rows_of_older_versions_are_read(tmp_path: Path) -> None:
    cache = ScanCache(tmp_path)
    cache.put([(*KEY, FOUND)])
    with sqlite3.connect(cache.path) as database:
        (text,) = database.execute("SELECT result FROM measured").fetchone()
        record = json.loads(text)
        assert record["rms_db"] == "base64," + base64.b64encode(CURVE).decode()
        record["rms_db"] = base64.b85encode(CURVE).decode()
        database.execute("UPDATE measured SET result = ?", (json.dumps(record),))
    database.close()
    assert cache.get([KEY]) == {KEY: FOUND}
    cache.close()
