"""Benchmark of the build against its floor and the recipes of sox and lhotse, in one run.

    python tests/benchmarks/bench_build.py [--clips 48] [--hours 1] [--json]

Prints figures and ratios; asserts nothing. CPU time is user + system time of the process and its
children, so it does not move with what else the machine does; wall time does.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import psutil
import soundfile
import soxr

sys.path.insert(0, str(Path(__file__).resolve().parent))
from peers import lhotse_recipe, why_not

from pipeline.config import RunOptions, SetConfig
from pipeline.progress import SilentReporter
from pipeline.sources import Sources
from pipeline.stages.build import build_set
from pipeline.stages.prepare import plan_single
from pipeline.tags import TagFilter

RATE = 22_050
SNRS_DB = (10.0, 5.0, 0.0, -5.0, -10.0)


def cpu_s() -> float:
    """Return CPU seconds of this process and its finished children."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in both)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), cpu_s()
    work()
    return time.perf_counter() - wall, cpu_s() - cpu


def make_corpora(root: Path, n_clips: int, hours: float) -> None:
    """Write MTAT-like music (29.1 s MP3, 16 kHz), AudioSet-like noise, and hour-long tracks."""
    rng = np.random.default_rng(0)
    for folder in ("music", "noise", "long"):
        (root / folder).mkdir()
    for i in range(n_clips):
        t = np.arange(int(29.1 * 16_000)) / 16_000
        tones = sum(np.sin(2 * np.pi * f * t) for f in rng.uniform(80, 4000, 12)) / 14
        music = tones * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * t)) + 0.02 * rng.standard_normal(t.size)
        soundfile.write(root / "music" / f"m{i:03d}.mp3", music * 0.8, 16_000, format="MP3")
        noise = np.cumsum(rng.standard_normal(10 * 44_100)) * 0.002
        noise = 0.2 * (noise - noise.mean()) / noise.std() + 0.02 * rng.standard_normal(noise.size)
        soundfile.write(root / "noise" / f"n{i:03d}.flac", noise.clip(-1, 1), 44_100)
    if hours:
        chunk = (0.2 * rng.standard_normal((44_100 * 60, 2))).astype(np.float32)
        for i in range(3):
            path = root / "long" / f"l{i}.mp3"
            with soundfile.SoundFile(path, "w", 44_100, 2, format="MP3") as f:
                for _ in range(int(60 * hours)):
                    f.write(chunk)


def floor(plan_rows: list, root: Path, out: Path) -> None:
    """Decode, resample, mix, round and encode the same spans in one bare loop."""
    with out.open("wb") as file:
        for row in plan_rows:
            x, rate = soundfile.read(root / "music" / row.music.path, dtype="float64")
            x = soxr.resample(x, rate, RATE, "VHQ")[: row.music.n_samples]
            n, rate = soundfile.read(root / "noise" / row.noises[0].path, dtype="float64")
            n = soxr.resample(n, rate, RATE, "VHQ")
            n = np.tile(n, -(-x.size // n.size))[: x.size]
            base = np.sqrt(np.sum(x * x) / np.sum(n * n))
            mixes = [x, *(x + base * 10 ** (-s / 20) * n for s in SNRS_DB)]
            gain = min(1.0, 0.999 / max(np.max(np.abs(m)) for m in mixes))
            for mix in mixes:
                buffer = io.BytesIO()
                pcm = np.rint(mix * (gain * 32768)).astype(np.int16)
                soundfile.write(buffer, pcm, RATE, format="FLAC", subtype="PCM_16")
                file.write(buffer.getvalue())


def sox_recipe(plan_rows: list, root: Path, out: Path) -> None:
    """Do the same with the sox program, one process per step, the usual recipe."""
    out.mkdir()

    def sox(*args: object) -> str:
        done = subprocess.run(
            ["sox", "-D", *map(str, args)], check=True, capture_output=True, text=True
        )
        return done.stderr

    def rms(path: Path) -> float:
        line = next(x for x in sox(path, "-n", "stat").splitlines() if "RMS     amplitude" in x)
        return float(line.split(":")[1])

    for row in plan_rows:
        music, noise = out / "music.wav", out / "noise.wav"
        sox(root / "music" / row.music.path, "-c", 1, music, "rate", "-v", RATE)
        seconds = row.music.n_samples / RATE
        source = root / "noise" / row.noises[0].path
        sox(source, "-c", 1, noise, "rate", "-v", RATE, "repeat", 9, "trim", 0, seconds)
        base = rms(music) / rms(noise)
        sox("-v", 0.1, music, out / f"{row.key}.clean.flac")
        for snr_db in SNRS_DB:
            gain = 0.1 * base * 10 ** (-snr_db / 20)
            target = out / f"{row.key}.{snr_db:g}.flac"
            sox("-m", "-v", 0.1, music, "-v", gain, noise, target, "trim", 0, seconds)


class MemoryWatch(threading.Thread):
    """Samples the resident memory of this process' children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[float] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        """Sample every 50 ms until stopped."""
        while not self.stopped.wait(0.05):
            sizes = []
            for child in psutil.Process().children(recursive=True):
                try:
                    sizes.append(child.memory_info().rss)
                except psutil.Error:
                    continue
            if sizes:
                self.samples.append(max(sizes) / 1e6)


def plan_of(root: Path, music: str, jobs: int, **settings: object) -> tuple:
    sources = Sources(music={"folder": str(root / music)}, noise={"folder": str(root / "noise")})
    config = replace(
        SetConfig(split="all", noise_split="all", examples_per_shard=8, band_limit="off"),
        **settings,
    )
    run = RunOptions(jobs=jobs, audit=False)
    return plan_single(config, sources, TagFilter(), run, SilentReporter()), sources.roots


def memory_of_long_tracks(root: Path) -> tuple[float, float, float]:
    """Return MB of the worker at most, and at the median of first and second half of the run."""
    code = (
        "import sys, os; from pathlib import Path;"
        "sys.path.insert(0, os.path.dirname(sys.argv[1]));"
        "from bench_build import *; root = Path(sys.argv[2]);"
        "plan, roots = plan_of(root, 'long', 1, excerpts_per_track=4, examples_per_shard=4);"
        "build_set(plan, str(root / 'long-set'), roots, run=RunOptions(jobs=1))"
    )
    watch = MemoryWatch()
    watch.start()
    subprocess.run([sys.executable, "-c", code, __file__, str(root)], check=True)
    watch.stopped.set()
    half = len(watch.samples) // 2
    medians = [float(np.median(part)) for part in (watch.samples[:half], watch.samples[half:])]
    return max(watch.samples), medians[0], medians[1]


@click.command()
@click.option("--clips", default=48, show_default=True, help="Music clips of 29.1 s.")
@click.option("--hours", default=1.0, show_default=True, help="Length of the long tracks; 0: none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(clips: int, hours: float, as_json: bool) -> None:
    """Measure the build, its floor, the peers, two jobs, the scan's share and the memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["ROBUST_TAGGER_CACHE"] = str(root / "cache")
        make_corpora(root, clips, hours)
        plans: list = []
        _, scan_cpu = timed(lambda: plans.append(plan_of(root, "music", 1)))
        plan, roots = plans[0]
        rows = list(plan.rows)
        audio_s = plan.seconds * 6

        def build(name: str, **run: object) -> tuple[float, float]:
            options = RunOptions(**run)
            return timed(lambda: build_set(plan, str(root / name), roots, run=options))

        floor(rows[:2], root, root / "warm.bin")
        _, floor_cpu = timed(lambda: floor(rows, root, root / "floor.bin"))
        one_wall, one_cpu = build("one", jobs=1, audit=False)
        _, audit_cpu = build("audited", jobs=1, audit=True)
        build("warm-2", jobs=2, audit=False)
        two_wall, _ = build("two", jobs=2, audit=False)
        report: dict[str, float] = {
            "audio_s": audio_s,
            "build_x_realtime_per_core": audio_s / one_cpu,
            "floor_x_realtime_per_core": audio_s / floor_cpu,
            "build_cpu_over_floor": one_cpu / floor_cpu,
            "audit_cpu_over_build": audit_cpu / one_cpu,
            "one_job_wall_over_two_jobs": one_wall / two_wall,
            "scan_share_of_cpu": scan_cpu / (scan_cpu + one_cpu),
        }
        peers = {
            "sox": lambda: sox_recipe(rows, root, root / "sox"),
            "lhotse": lambda: lhotse_recipe(rows, root, root / "lhotse", SNRS_DB),
        }
        left_out = {name: reason for name in peers if (reason := why_not(name))}
        for name in peers.keys() - left_out:
            wall, cpu = timed(peers[name])
            report[f"{name}_cpu_over_build"] = cpu / one_cpu
            report[f"{name}_wall_over_build"] = wall / one_wall
        if hours:
            top, early, late = memory_of_long_tracks(root)
            report |= {"worker_mb_at_most": top, "worker_mb_early": early, "worker_mb_late": late}
    if as_json:
        click.echo(json.dumps({**report, "left_out": left_out}, indent=1))
        return
    for name, value in report.items():
        click.echo(f"{name:32} {value:10.2f}")
    for name, reason in left_out.items():
        click.echo(f"{name:32} {reason}")


if __name__ == "__main__":
    main()
