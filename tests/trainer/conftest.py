"""Fixtures of the trainer's tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from score_cases import write_run, write_scores
from tiny_attention import POOLING, write_clips, write_partial_run
from tiny_bands import write_narrow_run
from tiny_sets import write_set
from tiny_suite import COMPARISON, DAT, SAMPLES, run_well, write_suite
from tiny_taggers import write_lively_run

from manifests.shardset import ShardSet
from trainer.compare import Comparison, compare_runs
from trainer.evaluation.scored import Scored, load_scores
from trainer.tagger import Tagger, load_tagger


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


@pytest.fixture(scope="session")
def shard_set(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """A set of two halves to load, 24 examples in each; read only."""
    return write_set(str(tmp_path_factory.mktemp("loader")), n_songs=16, excerpts=3)


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Recordings of the full band; read only."""
    folder = tmp_path_factory.mktemp("wide")
    return write_set(
        str(folder), n_songs=4, snrs_db=(), halves=False, name="real", n_samples=SAMPLES
    )


@pytest.fixture(scope="session")
def narrow_run(dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a training set below 7,200 Hz, whose tagger hears differences; read only."""
    return write_narrow_run(tmp_path_factory.mktemp("narrow") / "narrow", dat_run)


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> list[Scored]:
    """Scores of three methods, one of them with two seeds, on three sets."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [
        write_run(folder, "random", "random-encoder", skill=0.0),
        write_run(folder, "base0", "baseline", 0),
        write_run(folder, "base1", "baseline", 1),
        write_run(folder, "dat", "dat", skill=3.0),
    ]
    return load_scores(runs)


@pytest.fixture(scope="session")
def table(scored: list[Scored]) -> Comparison:
    """Their comparison."""
    return compare_runs(scored)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a score file, its table and its embedding sample; read only."""
    return Path(write_scores(str(tmp_path_factory.mktemp("scores")))).parent


@pytest.fixture
def url(written: Path, tmp_path: Path) -> str:
    """A score file with its table, free to be changed."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return str(tmp_path / "test-musan.scores")


@pytest.fixture(scope="session")
def lively(dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose tagger hears differences; read only."""
    return write_lively_run(tmp_path_factory.mktemp("lively") / "dat", dat_run)


@pytest.fixture(scope="session")
def tagger(lively: Path) -> Tagger:
    """Its tagger; read only."""
    return load_tagger(lively)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite to train, choose and evaluate on, whose clips have three chunks; read only."""
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def shared(clips: Path, dat_run: Path) -> tuple[object, ...]:
    """A baseline on them whose stage 1 is given."""
    return ("baseline", "--shards", clips, "--encoder", dat_run, *COMPARISON)


@pytest.fixture(scope="session")
def attending(shared: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of it with attention; read only."""
    out = tmp_path_factory.mktemp("runs") / "attending"
    run_well(*shared, *POOLING, "--out", out)
    return out


@pytest.fixture(scope="session")
def partial(attending: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with a tagger that hears differences and an attention that prefers chunks."""
    return write_partial_run(tmp_path_factory.mktemp("runs") / "partial", attending)
