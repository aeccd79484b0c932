"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator, new for every test."""
    return np.random.default_rng(20261121)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder with the real metadata and a little real audio; tests skip where it is not given."""
    value = os.environ.get("ROBUST_TAGGER_SHARED", "")
    if not value or not Path(value).is_dir():
        pytest.skip("ROBUST_TAGGER_SHARED does not name a folder with real metadata")
    return Path(value)
