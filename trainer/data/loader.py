"""Ready batches for a stage, from worker processes, resumable at any step.

What a step holds depends on (parts, seed, batch size, batches a step, crop, window, rank, ranks)
and on nothing else: not on the number of workers, and not on where the run was begun or resumed.
"""

from __future__ import annotations

import functools
import hashlib
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from torch.utils.data import DataLoader, IterableDataset

from manifests.canonical import canonical_json
from manifests.errors import ManifestError, UsageError
from manifests.parent import end_with_parent
from manifests.rows import CHUNK_SAMPLES
from trainer.data.batches import Batch
from trainer.data.part import Part, check_parts
from trainer.data.plan import BatchPlan, LeftOver
from trainer.data.rungs import SnrOver
from trainer.data.shard_cache import ShardCacheConfig
from trainer.data.snr import ConstantSnr, SnrAt, SnrDraw, SnrRange
from trainer.data.stream import BatchStream, Failure, Source

WorkerStart = Literal["forkserver", "fork", "spawn"]
PRELOADED: Final = ["trainer.data.stream", "trainer.data.clips"]


@dataclass(frozen=True)
class LoaderConfig:
    """How a loader cuts and serves batches.

    Attributes:
        batch_size: examples of a batch on one rank.
        crop_samples: length of a crop at 22,050 Hz.
        seed: seed of all draws.
        snr_over: ``clip``: the SNR drawn is that of the whole clip, as stored; ``crop``: the mix
            is levelled so that the crop itself has it.
        snr_draw: ``integer`` draws whole dB, ``stored`` the set's own rungs.
        accumulate: batches of one step of the optimizer; no two examples of a step share a song.
        window: examples that are shuffled together; smaller reads more locally.
        n_workers: decoding processes; 0 decodes in the process that trains.
        prefetch: batches that each worker keeps ready.
        worker_start: how workers are started; ``forkserver`` is safe beside CUDA and threads. It
            and ``spawn`` import the main script again, which must guard its work with
            ``if __name__ == "__main__"``.
        cache: local folder for shards of object stores; None reads byte ranges alone.
    """

    batch_size: int = 48
    crop_samples: int = CHUNK_SAMPLES
    seed: int = 0
    snr_over: SnrOver = "clip"
    snr_draw: SnrDraw = "integer"
    accumulate: int = 1
    window: int = 4096
    n_workers: int = 0
    prefetch: int = 2
    worker_start: WorkerStart = "forkserver"
    cache: ShardCacheConfig | None = None


@dataclass(frozen=True)
class LoaderState:
    """Where a loader stands: goes into a checkpoint as JSON.

    Attributes:
        step: steps that were taken.
        fingerprint: hash of all that decides what the steps hold.
    """

    step: int
    fingerprint: str


class Loader:
    """An endless sequence of batches over some parts; step n is always the same batches.

    Args:
        parts: what is read, concatenated; the same number of views and the same tags in each.
        config: how it is cut and served.
        rank: this process among those that train together, from 0.
        world_size: how many train together.

    Raises:
        UsageError: parts that do not fit together, or too few examples for one step per rank.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        config: LoaderConfig,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_parts(parts)
        self.config = config
        self.name = " + ".join(part.name for part in parts)
        self._plan = BatchPlan(
            self.name,
            [ref for part in parts for ref in part.refs],
            batch_size=config.batch_size,
            seed=config.seed,
            rank=rank,
            world_size=world_size,
            window=config.window,
            accumulate=config.accumulate,
        )
        vocabulary = parts[0].vocabulary
        self._source = Source(
            parts=tuple(parts),
            plan=self._plan,
            crop_samples=config.crop_samples,
            snr_over=config.snr_over,
            snr_draw=config.snr_draw,
            places={tag: place for place, tag in enumerate(vocabulary)}
            if parts[0].reading.tags
            else None,
            cache=config.cache,
        )

    @property
    def n_examples(self) -> int:
        """Examples over all ranks, left-over ones included."""
        return sum(len(part.refs) for part in self._source.parts)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the examples, the same for every pass and rank."""
        return self._plan.steps_per_pass

    @property
    def step_size(self) -> int:
        """Examples of one step over all ranks."""
        return self.config.batch_size * self.config.accumulate * self._plan.world_size

    @property
    def left_over(self) -> LeftOver:
        """Examples that a pass does not use."""
        return self._plan.left_over

    def batches(
        self, first_step: int, n_steps: int, *, snr: SnrRange | SnrAt | None = None
    ) -> Iterator[Batch]:
        """Return the batches of steps ``first_step`` to ``first_step + n_steps``.

        Ask for a whole run at once where you can: the workers then never stop between epochs.

        Args:
            first_step: from 0; steps before it are not decoded.
            n_steps: how many, ``accumulate`` batches each; passes follow each other without end.
            snr: SNR range, or a function of the step that returns one; None is -10 to 10 dB.

        Raises:
            ManifestError: at the batch where it is met: a shard cut short, a changed byte, a
                missing member; the message names shard and example.
            UsageError: an SNR that cannot be made of the members that may be opened.
        """
        if n_steps < 1:
            return iter(())
        snr_at = snr if callable(snr) else ConstantSnr(snr or SnrRange())
        for step in (first_step, first_step + n_steps - 1):
            self.check_snr(snr_at(step))
        stream = BatchStream(self._source, first_step, n_steps, snr_at)
        return self._checked(stream, first_step, n_steps)

    def epoch(
        self, epoch: int, *, start_step: int = 0, snr: SnrRange | SnrAt | None = None
    ) -> Iterator[Batch]:
        """Return the batches of one pass from ``start_step`` on; see ``batches``."""
        first = epoch * self.steps_per_epoch + start_step
        return self.batches(first, self.steps_per_epoch - start_step, snr=snr)

    def check_snr(self, snr: SnrRange) -> None:
        """Check that every SNR of a range can be heard, before a run begins.

        Raises:
            UsageError: a part stores too few rungs for it.
        """
        for part in self._source.parts:
            part.snr_values(snr, self.config.snr_draw)
            part.check_snr_over(self.config.snr_over)

    def state(self, step: int) -> LoaderState:
        """Return the state after ``step`` steps, for a checkpoint."""
        return LoaderState(step, self.fingerprint)

    def check_state(self, state: LoaderState) -> int:
        """Return the step to go on from.

        Raises:
            UsageError: the state belongs to other data, another seed or other options.
        """
        if state.fingerprint != self.fingerprint:
            raise UsageError(
                f"{self.name}: expected the data, seed, batch size and ranks of the checkpoint, "
                "got others; resume with the same sets and options, or start a new run"
            )
        return state.step

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides what the steps hold; workers and places on disk do not."""
        deciding = {
            "batch_size": self.config.batch_size,
            "crop_samples": self.config.crop_samples,
            "seed": self.config.seed,
            "snr_draw": self.config.snr_draw,
            "snr_over": self.config.snr_over,
            "window": self.config.window,
            "world_size": self._plan.world_size,
        }
        if self.config.accumulate > 1:
            deciding["accumulate"] = self.config.accumulate
        digest = hashlib.sha256(canonical_json(deciding).encode())
        for part in self._source.parts:
            reading = asdict(part.reading) | {"views": [v.value for v in part.reading.views]}
            limit = [part.band_hz] if part.is_limited else []
            said = [reading, part.snrs_db, part.vocabulary, *limit]
            digest.update(canonical_json(said).encode())
            for ref in part.refs:
                hashes = "".join(member.pcm_sha256 for member in ref.members)
                digest.update(f"{ref.key} {ref.shard} {hashes} {ref.tags}\n".encode())
        return digest.hexdigest()

    def _checked(self, stream: BatchStream, first_step: int, n_steps: int) -> Iterator[Batch]:
        first, n_batches = (n * self.config.accumulate for n in (first_step, n_steps))
        expected = first
        for item in serve(stream, self.config):
            if isinstance(item, Failure):
                raise item.error()
            if item.number != expected:
                raise ManifestError(f"{self.name}: expected batch {expected}, got {item.number}")
            expected += 1
            yield item
        if expected != first + n_batches:
            raise ManifestError(
                f"{self.name}: expected {n_batches} batches, got {expected - first}"
            )


def serve(stream: IterableDataset[Any], config: LoaderConfig) -> Iterator[Any]:
    """Return the items of a stream that makes whole batches itself.

    Raises:
        ManifestError: a decoding process ended before its work was done.
    """
    try:
        yield from _data_loader(stream, config)
    except (RuntimeError, ConnectionError, EOFError, FileNotFoundError) as error:
        # A batch is fetched over a socket of the process that made it: where that is gone, the
        # socket may say so before the DataLoader does.
        named = isinstance(error, RuntimeError)
        if not config.n_workers or (named and "DataLoader worker (pid" not in str(error)):
            raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ManifestError(
            f"loader: expected all {config.n_workers} decoding processes (--workers) to the end, "
            f"lost one: {said}; where memory is short, use fewer; then run the same command again "
            "to go on"
        ) from error


def _data_loader(stream: IterableDataset[Any], config: LoaderConfig) -> DataLoader[Any]:
    if config.n_workers == 0:
        return DataLoader(stream, batch_size=None)
    context = multiprocessing.get_context(config.worker_start)
    if config.worker_start == "forkserver":
        # The server imports torch once; a worker is then a fork of it, without a second import.
        context.set_forkserver_preload(PRELOADED)
    return DataLoader(
        stream,
        batch_size=None,
        num_workers=config.n_workers,
        prefetch_factor=config.prefetch,
        multiprocessing_context=context,
        worker_init_fn=_settle_in,
    )


def _settle_in(worker: int) -> None:
    del worker
    end_with_parent()
