"""Noisy crops per second: our sets against mixing on the fly with torch-audiomentations.

    python tests/benchmarks/bench_peers.py [--clips 24] [--seconds 5] [--json]

Both decode crops of the same clean clips. The peer draws a noise file and an SNR for each crop and
mixes them as it goes; ours reads the two rungs next to the SNR that is drawn. One process, one
thread, after one batch that is not counted; ours is measured before and after the peer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "trainer"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from peers import torch_audiomentations_crops
from tiny_sets import write_set

from manifests.rows import SAMPLE_RATE
from manifests.shard import iter_examples
from manifests.shardset import ShardSet
from trainer.data import Loader, LoaderConfig, make_part
from trainer.data.reading import UNLABELLED_NOISY

BATCH = 24


def ours(shard_set: ShardSet) -> Iterator[int]:
    """Noisy crops at any SNR, for ever."""
    config = LoaderConfig(batch_size=BATCH)
    for batch in Loader([make_part(shard_set, UNLABELLED_NOISY)], config).batches(0, 1_000_000):
        yield len(batch)


def rate(batches: Iterator[int], seconds: float) -> tuple[float, float]:
    """Crops per second of wall time and of CPU time, after one batch."""
    next(batches)
    wall, cpu, crops = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < seconds:
        crops += next(batches)
    return crops / (time.perf_counter() - wall), crops / (time.process_time() - cpu)


def unpack(shard_set: ShardSet, folder: Path) -> Path:
    """Write the clean members as files."""
    folder.mkdir()
    for info in shard_set.index.shards:
        with (Path(shard_set.url) / info.file).open("rb") as file:
            for key, files in iter_examples(file, info.file, only=["clean.flac"]):
                (folder / f"{key}.flac").write_bytes(files["clean.flac"])
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(name)
        shard_set = write_set(
            str(root / "set"), n_songs=options.clips, excerpts=1, halves=False, per_shard=8,
            n_samples=round(29.1 * SAMPLE_RATE),
        )  # fmt: skip
        clean = unpack(shard_set, root / "clean")
        (root / "noise").mkdir()
        rng = np.random.default_rng(0)
        for number in range(32):
            noise = 0.1 * rng.standard_normal(10 * SAMPLE_RATE)
            soundfile.write(root / "noise" / f"{number}.wav", noise, SAMPLE_RATE)
        before = rate(ours(shard_set), options.seconds)
        peer = torch_audiomentations_crops(clean, root / "noise", options.seconds, BATCH)
        after = rate(ours(shard_set), options.seconds)
    report: dict[str, object] = {"left_out": {}}
    if isinstance(peer, str):
        report["left_out"] = {"torch_audiomentations": peer}
    else:
        wall, cpu = ((x + y) / 2 for x, y in zip(before, after, strict=True))
        report |= {
            "crops_over_torch_audiomentations": wall / peer["crops_per_s"],
            "crops_per_cpu_s_over_torch_audiomentations": cpu / peer["crops_per_cpu_s"],
            "versions": peer["versions"],
        }
    if options.json:
        print(json.dumps(report))
        return
    for key, value in report.items():
        print(f"{key:44} {value:8.2f}" if isinstance(value, float) else f"{key:44} {value}")


if __name__ == "__main__":
    main()
