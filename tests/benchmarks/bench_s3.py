"""An S3 server on this machine (moto) against its disk: build to it, and stream crops from it.

    python tests/benchmarks/bench_s3.py [--clips 24] [--seconds 5] [--json]

The server is a program of its own, in Python: its figures are a floor for a real object store on a
fast network, not a forecast. Wall time, as waiting is what an object store costs. Prints; asserts
nothing. Without moto or s3fs it says how to install them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_build import make_corpora, plan_of

from manifests.shardset import load_set
from pipeline.config import RunOptions
from pipeline.stages.build import build_set
from trainer.data import Loader, LoaderConfig, make_part
from trainer.data.reading import UNLABELLED_NOISY
from trainer.data.shard_cache import ShardCacheConfig

BUCKET = "bench"
BATCH = 24


def start_server() -> tuple[subprocess.Popen[bytes], str]:
    """Start moto's server; returns it and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return server, f"http://127.0.0.1:{port}"
        except OSError:
            time.sleep(0.2)
    raise SystemExit("moto's server did not start")


def crops_per_s(url: str, seconds: float, cache: ShardCacheConfig | None = None) -> float:
    """Return noisy crops per second from a set, after one pass that is not counted."""
    config = LoaderConfig(batch_size=BATCH, cache=cache)
    loader = Loader([make_part(load_set(url), UNLABELLED_NOISY)], config)
    batches = loader.batches(0, 1_000_000)
    for _ in range(loader.steps_per_epoch):
        next(batches)
    begin, crops = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        crops += len(next(batches))
    return crops / (time.perf_counter() - begin)


def wall_s(work: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(root: Path, clips: int, seconds: float) -> dict[str, float]:
    """Build and stream on both; returns ratios."""
    os.environ["ROBUST_TAGGER_CACHE"] = str(root / "cache")
    make_corpora(root, clips, 0)
    plan, roots = plan_of(root, "music", 1, examples_per_shard=8)
    near, far = str(root / "set"), f"s3://{BUCKET}/set"
    run = RunOptions(jobs=1, audit=False)
    build_set(plan, str(root / "warm"), roots, run=run)
    near_s = wall_s(lambda: build_set(plan, near, roots, run=run))
    far_s = wall_s(lambda: build_set(plan, far, roots, run=run))
    cache = ShardCacheConfig(str(root / "shards"), 1 << 34)
    (root / "shards").mkdir()
    disk = crops_per_s(near, seconds)
    ranges = crops_per_s(far, seconds)
    cached = crops_per_s(far, seconds, cache)
    return {
        "build_s3_wall_over_disk": far_s / near_s,
        "crops_from_s3_over_disk": ranges / disk,
        "crops_from_s3_with_shard_cache_over_disk": cached / disk,
    }


@click.command()
@click.option("--clips", default=24, show_default=True, help="Music clips of 29.1 s.")
@click.option("--seconds", default=5.0, show_default=True, help="Of each stream.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(clips: int, seconds: float, as_json: bool) -> None:
    """Compare an S3 server on this machine with its disk."""
    for package in ("moto", "s3fs"):
        if importlib.util.find_spec(package) is None:
            raise SystemExit(f"{package} is not installed: pip install 'robust-tagger[s3,test]'")
    torch.set_num_threads(1)
    server, address = start_server()
    try:
        os.environ |= {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        import boto3

        boto3.client("s3").create_bucket(Bucket=BUCKET)
        with tempfile.TemporaryDirectory() as folder:
            report = measure(Path(folder), clips, seconds)
    finally:
        server.kill()
        server.wait()
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return
    for name, value in report.items():
        click.echo(f"{name:44} {value:8.2f}")


if __name__ == "__main__":
    main()
