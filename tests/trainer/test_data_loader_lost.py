"""Decoding processes and batches that the loader loses: the run ends and says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
from tiny_loaders import CONFIG, loader

import trainer.data.loader as loader_module
from manifests.errors import ManifestError
from manifests.shardset import ShardSet
from trainer.data import LoaderConfig
from trainer.data import reading as readings
from trainer.data.loader import serve


def test_a_decoding_process_that_is_killed_is_named(shard_set: ShardSet) -> None:
    config = replace(CONFIG, n_workers=1, prefetch=1)
    batches = loader(shard_set, readings.LABELLED_CLEAN, "source", config).batches(0, 10_000)
    before = set(psutil.Process().children(recursive=True))
    next(batches)
    workers = set(psutil.Process().children(recursive=True)) - before
    # the youngest is the worker; a fork server and a resource tracker may have come with it
    max(workers, key=lambda process: (process.create_time(), process.pid)).kill()
    with pytest.raises(ManifestError, match=r"1 decoding processes \(--workers\) to the end, lost"):
        list(batches)


def test_other_errors_of_torch_keep_their_names(
    shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[object]:
        raise RuntimeError("shape mismatch")
        yield

    monkeypatch.setattr("trainer.data.loader._data_loader", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(loader(shard_set, readings.LABELLED_CLEAN, "source").batches(0, 3))


def test_batches_that_are_lost_on_the_way_are_missed(
    shard_set: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DataLoader whose worker dies without a word must not shorten a run."""
    one = loader(shard_set, readings.LABELLED_CLEAN, "source")
    whole = list(one.batches(0, 3))
    for kept, said in ((whole[:2], "expected 3 batches, got 2"), (whole[1:], "batch 0, got 1")):
        monkeypatch.setattr("trainer.data.loader.serve", lambda *_, kept=kept: iter(kept))
        with pytest.raises(ManifestError, match=said):
            list(one.batches(0, 3))


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(104, "Connection reset by peer"), EOFError(), FileNotFoundError()],
)
def test_a_socket_of_a_lost_process_is_a_lost_process(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(stream: object, config: object) -> Iterator[object]:
        yield 1
        raise error

    monkeypatch.setattr(loader_module, "_data_loader", broken)
    items = serve([], LoaderConfig(batch_size=1, n_workers=2))  # type: ignore[arg-type]
    assert next(items) == 1
    with pytest.raises(ManifestError, match=r"expected all 2 decoding processes .* lost one: "):
        next(items)
    alone = serve([], LoaderConfig(batch_size=1))  # type: ignore[arg-type]
    next(alone)
    with pytest.raises(type(error)):
        next(alone)
