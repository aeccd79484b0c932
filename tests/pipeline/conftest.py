"""Fixtures of the prep tests: tiny corpora, a scan cache of their own, and one finished set."""

from __future__ import annotations

import gc
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from frozen_teams import TeamB, build, run, team_b
from joblib.externals.loky import get_reusable_executor
from tiny_corpora import Corpora, MakePlan, Roots, write_corpora, write_mtat

from pipeline.config import RunOptions, SetConfig
from pipeline.planned import Plan
from pipeline.progress import SilentReporter
from pipeline.sources import Sources
from pipeline.stages.build import build_set
from pipeline.stages.prepare import plan_single
from pipeline.tags import TagFilter


@pytest.fixture(autouse=True, scope="session")
def scan_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the tests' measurements out of the user's cache, and share them between tests."""
    folder = tmp_path_factory.mktemp("scan-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUST_TAGGER_CACHE", str(folder))
        yield folder


@pytest.fixture
def killed_workers() -> Iterator[None]:
    """Clean up after a test that kills loky workers: loky leaves their pipes to the collector."""
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    """Tiny corpora that no test may change."""
    return write_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="session")
def make_plan(corpora: Corpora) -> MakePlan:
    """Plan a set: ``make_plan(music=..., noise=..., **SetConfig fields)``."""

    def make(
        music: Path | str | None = None,
        noise: Path | str | None = None,
        *,
        musan: bool = False,
        recordings: bool = False,
        tags: TagFilter | None = None,
        corpus_options: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Plan:
        noises = {"musan": str(corpora.musan)} if musan else {"folder": str(noise or corpora.noise)}
        sources = Sources(
            music={"folder": str(music or corpora.music)},
            noise={} if recordings else noises,
            corpus_options=corpus_options or {},
        )
        fields.setdefault("examples_per_shard", 4)
        fields.setdefault("noise_split", fields.get("split", "train"))
        config = SetConfig(music=("folder",), noise=tuple(sources.noise), **fields)
        filters = tags or TagFilter()
        return plan_single(config, sources, filters, RunOptions(), SilentReporter())

    return make


@pytest.fixture(scope="session")
def roots(corpora: Corpora) -> Roots:
    """Roots of the tiny corpora, as ``build_set`` takes them."""
    return {
        "music": {"folder": str(corpora.music)},
        "noise": {"folder": str(corpora.noise), "musan": str(corpora.musan)},
    }


@pytest.fixture(scope="session")
def plan(make_plan: MakePlan) -> Plan:
    """The plan of the finished set: 12 examples in both halves, 2 noises, five SNRs."""
    return make_plan(noises=2, examples_per_shard=3)


@pytest.fixture(scope="session")
def built(plan: Plan, roots: Roots, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished set that no test may change."""
    out = tmp_path_factory.mktemp("sets") / "train"
    build_set(plan, str(out), roots)
    return out


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """A copy of the finished set, to be changed."""
    return Path(shutil.copytree(built, tmp_path / "copy"))


@pytest.fixture(scope="session")
def mtat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MagnaTagATune that no test may change."""
    return write_mtat(tmp_path_factory.mktemp("mtat"))


@pytest.fixture(scope="module")
def recipe(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Team A's recipe, and beside it the ``set`` that it was made of."""
    root = tmp_path_factory.mktemp("team-a")
    build(corpora, root / "set")
    run("freeze", root / "set", "-o", root / "tiny.v1", "--jobs", 1)
    return root / "tiny.v1"


@pytest.fixture(scope="module")
def other(corpora: Corpora, tmp_path_factory: pytest.TempPathFactory) -> TeamB:
    """Team B's faulty copy of the corpora."""
    return team_b(corpora, tmp_path_factory.mktemp("team-b"))
