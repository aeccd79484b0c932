"""An S3 server on this machine (moto) against its disk: build from and to it, stream crops from it.

    python tests/benchmarks/bench_s3.py [--clips 24] [--seconds 5] [--json]

The server is a program of its own, in Python, that shares this machine's cores and answers slowly:
so beside the plain ratios of wall time stand those with the server's own time taken off, which is
what plain s3fs takes for the same objects, one after the other (builds), or for the same byte
ranges (crops). What is left is ours. Prints; asserts nothing. Without moto or s3fs it says how to
install them.
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

from manifests import store
from manifests.extras import how_to_install
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


class Waits:
    """Counts the time in which a file system is waited for to deliver byte ranges."""

    def __init__(self, url: str) -> None:
        self.file_system, _ = store.filesystem(url)
        self.seconds = 0.0

    def __enter__(self) -> Waits:
        self.plain = self.file_system.cat_ranges

        def timed(*arguments: object, **options: object) -> object:
            begin = time.perf_counter()
            try:
                return self.plain(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - begin

        self.file_system.cat_ranges = timed
        return self

    def __exit__(self, *_: object) -> None:
        self.file_system.cat_ranges = self.plain


def crops_per_s(
    url: str, seconds: float, cache: ShardCacheConfig | None = None
) -> tuple[float, float]:
    """Return noisy crops per second, as is and with the waits for byte ranges taken off.

    After one pass over the set that is not counted.
    """
    config = LoaderConfig(batch_size=BATCH, cache=cache)
    loader = Loader([make_part(load_set(url), UNLABELLED_NOISY)], config)
    batches = loader.batches(0, 1_000_000)
    for _ in range(loader.steps_per_epoch):
        next(batches)
    begin, crops = time.perf_counter(), 0
    with Waits(url) as waits:
        while time.perf_counter() - begin < seconds:
            crops += len(next(batches))
    wall = time.perf_counter() - begin
    return crops / wall, crops / (wall - waits.seconds)


def wall_s(work: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def put_all(folder: Path) -> None:
    """Upload the files of a folder one after the other with plain s3fs."""
    file_system, _ = store.filesystem(f"s3://{BUCKET}/plain")
    for path in sorted(folder.iterdir()):
        file_system.put_file(str(path), f"{BUCKET}/plain/{path.name}")


def get_all(urls: list[str]) -> None:
    """Read objects one after the other with plain s3fs."""
    file_system, _ = store.filesystem(f"s3://{BUCKET}/plain")
    for url in urls:
        file_system.cat_file(url.removeprefix("s3://"), start=0, end=1 << 30)


def builds(root: Path, clips: int) -> dict[str, float]:
    """Build from disk to disk, from disk to S3, and from S3 to S3; returns ratios of wall time."""
    make_corpora(root, clips, 0)
    file_system, _ = store.filesystem(f"s3://{BUCKET}/x")
    for name in ("music", "noise"):
        file_system.put(f"{root / name}/", f"{BUCKET}/{name}/", recursive=True)
    plan, roots = plan_of(root, "music", 1, examples_per_shard=8)
    far_roots = {role: {"folder": f"s3://{BUCKET}/{role}"} for role in roots}
    sources = [
        f"{far_roots[role]['folder']}/{span.path}"
        for row in plan.rows
        for role, span in (("music", row.music), *(("noise", noise) for noise in row.noises))
    ]
    run = RunOptions(jobs=1, audit=False)
    build_set(plan, str(root / "warm"), roots, run=run)
    near = wall_s(lambda: build_set(plan, str(root / "set"), roots, run=run))
    to_s3 = wall_s(lambda: build_set(plan, f"s3://{BUCKET}/set", roots, run=run))
    both = wall_s(lambda: build_set(plan, f"s3://{BUCKET}/set-2", far_roots, run=run))
    near = min(near, wall_s(lambda: build_set(plan, str(root / "set-2"), roots, run=run)))
    put_s, get_s = wall_s(lambda: put_all(root / "set")), wall_s(lambda: get_all(sources))
    return {
        "build_to_s3_wall_over_disk": to_s3 / near,
        "build_to_s3_less_plain_uploads_over_disk": (to_s3 - put_s) / near,
        "build_from_and_to_s3_wall_over_disk": both / near,
        "build_from_and_to_s3_less_plain_transfers_over_disk": (both - put_s - get_s) / near,
    }


def measure(root: Path, clips: int, seconds: float) -> dict[str, float]:
    """Build and stream on both; returns ratios."""
    os.environ["ROBUST_TAGGER_CACHE"] = str(root / "cache")
    found = builds(root, clips)
    cache = ShardCacheConfig(str(root / "shards"), 1 << 34)
    (root / "shards").mkdir()
    disk, _ = crops_per_s(str(root / "set"), seconds)
    ranges, own = crops_per_s(f"s3://{BUCKET}/set", seconds)
    cached, _ = crops_per_s(f"s3://{BUCKET}/set", seconds, cache)
    return found | {
        "crops_from_s3_over_disk": ranges / disk,
        "crops_from_s3_less_waits_over_disk": own / disk,
        "crops_from_s3_with_shard_cache_over_disk": cached / disk,
    }


@click.command()
@click.option(
    "--clips",
    type=click.IntRange(BATCH),
    default=24,
    show_default=True,
    help="Music clips of 29.1 s.",
)
@click.option("--seconds", default=5.0, show_default=True, help="Of each stream.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(clips: int, seconds: float, as_json: bool) -> None:
    """Compare an S3 server on this machine with its disk."""
    for package in ("moto", "s3fs"):
        if importlib.util.find_spec(package) is None:
            raise SystemExit(f"{package} is not installed; {how_to_install('s3,test')}")
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
        click.echo(f"{name:56} {value:8.2f}")


if __name__ == "__main__":
    main()
