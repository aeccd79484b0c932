"""Fixtures of the trainer's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_suite import DAT, run_well, write_suite


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of small sets with every role; read only."""
    return write_suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture(scope="session")
def dat_run(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of ``train dat`` on the suite, all three stages; read only."""
    run = tmp_path_factory.mktemp("runs") / "dat"
    run_well("dat", "--shards", suite, "--out", run, *DAT)
    return run
