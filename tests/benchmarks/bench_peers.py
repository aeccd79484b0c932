"""Noisy crops per second: our sets against mixing on the fly with torch-audiomentations.

    python tests/benchmarks/bench_peers.py [--clips 24] [--seconds 5] [--json]

Both decode crops of the same clean clips. The peer draws a noise file and an SNR for each crop and
mixes them as it goes, from noise files made ready for it (22,050 Hz) and at a corpus' own rate
(44,100 Hz); ours reads the two rungs next to the SNR that is drawn. One process, one thread,
after one batch that is not counted; ours is measured before, between and after.
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
NOISES_HZ = {"prepared": SAMPLE_RATE, "as_found": 44_100}
"""Rate of the peer's noise files: made ready for it, or as a corpus holds them."""


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


def write_noises(folder: Path, rate: int) -> None:
    """Write 32 noises of 10 s; the peer looks for WAV alone."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(32):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(10 * rate), rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.clips < BATCH:
        parser.error(f"--clips: expected at least {BATCH}, a batch of different songs")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(folder)
        shard_set = write_set(
            str(root / "set"), n_songs=options.clips, excerpts=1, halves=False, per_shard=8,
            n_samples=round(29.1 * SAMPLE_RATE),
        )  # fmt: skip
        clean = unpack(shard_set, root / "clean")
        for name in NOISES_HZ:
            write_noises(root / name, NOISES_HZ[name])
        rates, peers = [rate(ours(shard_set), options.seconds)], {}
        for name in NOISES_HZ:
            peer = torch_audiomentations_crops(clean, root / name, options.seconds, BATCH)
            peers[name] = peer
            rates.append(rate(ours(shard_set), options.seconds))
    report: dict[str, object] = {"left_out": {}}
    wall, cpu = (sum(values) / len(values) for values in zip(*rates, strict=True))
    for name, peer in peers.items():
        if isinstance(peer, str):
            report["left_out"] = {"torch_audiomentations": peer}
            continue
        report[f"crops_over_torch_audiomentations_{name}"] = wall / peer["crops_per_s"]
        report[f"crops_per_cpu_s_over_torch_audiomentations_{name}"] = cpu / peer["crops_per_cpu_s"]
        report["versions"] = peer["versions"]
    if options.json:
        print(json.dumps(report))
        return
    for key, value in report.items():
        print(f"{key:56} {value:8.2f}" if isinstance(value, float) else f"{key:56} {value}")


if __name__ == "__main__":
    main()
