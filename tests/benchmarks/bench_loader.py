"""Crops per second of the loader against decoding whole clips, in one run on one core.

Run: ``python tests/benchmarks/bench_loader.py [--clips N] [--seconds S] [--workers W]``

The plain reader is what a WebDataset tutorial gives: ``wds.WebDataset``, the one member that is
needed, decoded whole by soundfile, then cropped. Ours reads the same shards, the same member.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
import webdataset as wds

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "trainer"))
from tiny_sets import write_set

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from manifests.shardset import ShardSet
from trainer.data import Loader, LoaderConfig, make_part
from trainer.data.reading import LABELLED_CLEAN, LABELLED_PAIR, UNLABELLED_NOISY, Reading

BATCH = 24
COMPARED = {
    "clean.flac": {
        "clean": LABELLED_CLEAN,
        "clean and noisy of one crop": LABELLED_PAIR,
    },
    "noisy.snr_0.flac": {"noisy at any SNR, from two rungs": UNLABELLED_NOISY},
}
"""What the plain reader decodes, and ours that are compared with it."""


def whole_clips(shard_set: ShardSet, member: str) -> Iterator[int]:
    """Decode whole clips for ever; yields crops per batch."""
    rng = np.random.default_rng(0)
    urls = [f"{shard_set.url}/{info.file}" for info in shard_set.index.shards]

    def select(name: str) -> bool:
        return name.endswith((member, ".json"))

    crops = list[torch.Tensor]()  # kept from pass to pass: clips may be fewer than a batch
    while True:
        data = wds.WebDataset(urls, shardshuffle=False, select_files=select, empty_check=False)
        for sample in data:
            waveform, _ = soundfile.read(io.BytesIO(sample[member]), dtype="float32")
            start = int(rng.integers(0, len(waveform) - CHUNK_SAMPLES + 1))
            crops.append(torch.from_numpy(waveform[start : start + CHUNK_SAMPLES]))
            if len(crops) == BATCH:
                torch.stack(crops)
                crops.clear()
                yield BATCH


def loader_crops(shard_set: ShardSet, reading: Reading, n_workers: int) -> Iterator[int]:
    """Batches of our loader for ever; yields crops per batch."""
    config = LoaderConfig(batch_size=BATCH, n_workers=n_workers)
    loader = Loader([make_part(shard_set, reading)], config)
    for batch in loader.batches(0, 1_000_000):
        yield len(batch) * len(batch.views)


def rate(make: Callable[[], Iterator[int]], seconds: float) -> tuple[float, float]:
    """Crops per second, and CPU time of this process per crop, ms; one batch is not counted."""
    batches = make()
    next(batches)
    begin, cpu_s, crops = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < seconds:
        crops += next(batches)
    cpu_ms = 1_000 * (time.process_time() - cpu_s) / crops
    return crops / (time.perf_counter() - begin), cpu_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    if options.clips < BATCH:
        parser.error(f"--clips: expected at least {BATCH}, a batch of different songs")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        shard_set = write_set(
            folder, n_songs=options.clips, excerpts=1, n_samples=round(29.1 * SAMPLE_RATE),
            halves=False, per_shard=16,
        )  # fmt: skip
        rows, cpu = [], []
        for member, kinds in COMPARED.items():
            plain, _ = rate(lambda member=member: whole_clips(shard_set, member), options.seconds)
            rows.append((f"whole clips, wds + soundfile: {member}", plain, plain))
            for name, reading in kinds.items():
                ours, cpu_ms = rate(
                    lambda reading=reading: loader_crops(shard_set, reading, options.workers),
                    options.seconds,
                )
                rows.append((f"  crops, trainer.data: {name}", ours, plain))
                cpu.append(f"{name} {cpu_ms:.2f}")
    print(f"{options.clips} clips of 29.1 s, 5 rungs, FLAC; {options.workers} workers")
    print(f"{'':58}{'crops/s':>10}{'ratio':>8}")
    for name, crops, against in rows:
        print(f"{name:58}{crops:>10.0f}{crops / against:>8.1f}")
    if not options.workers:
        print(f"CPU ms a crop: {'; '.join(cpu)}")


if __name__ == "__main__":
    main()
