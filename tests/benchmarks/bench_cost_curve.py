"""What a clip costs as a corpus grows: time and peak memory of every stage at 1, 10 and 100 times.

    python tests/benchmarks/bench_cost_curve.py [--quick] [--json]

Short clips of a few sounds, each file with bytes of its own, for scan, plan, build, verify and
freeze; then scan and plan of corpora of the true full size (``full_size.py``), whose audio is not
needed. Every stage runs in a process of its own, so its peak memory is its own. CPU time is user
and system time of the process and its children: it hardly moves with what else the machine does.
Prints; asserts nothing.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent))
from full_size import write_full_size

RATE = 22_050
SECONDS = 3.0
N_NOISES = 64
STAGES = ("scan", "plan", "build", "verify", "freeze")
CHILD = """
import json, resource, sys
from pipeline.cli import prep
try:
    prep(sys.argv[1:], prog_name="prep")
except SystemExit as end:
    status = end.code or 0
own, children = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
cpu = sum(u.ru_utime + u.ru_stime for u in (own, children))
print(json.dumps([status, cpu, own.ru_maxrss / 1024]), file=sys.stderr)
"""


def prep(*arguments: object) -> tuple[float, float]:
    """Run ``prep`` in a process of its own; returns CPU seconds and peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, arguments)], capture_output=True, text=True
    )
    last = done.stderr.strip().splitlines()[-1]
    if done.returncode or not last.startswith("[0,"):
        raise SystemExit(f"prep {arguments[0]}: {done.stderr}")
    _, cpu_s, peak_mb = json.loads(last)
    return cpu_s, peak_mb


def write_clips(root: Path, n_clips: int) -> None:
    """Write clips that differ by their last 64 samples: a few sounds, as many contents as files."""
    rng = np.random.default_rng(0)
    t = np.arange(round(SECONDS * RATE)) / RATE
    tones = [np.sin(2 * np.pi * f * t) * 0.3 for f in (110, 220, 330, 440)]
    sounds = [tone + 0.05 * rng.standard_normal(t.size) for tone in tones]
    for folder, count in (("music", n_clips), ("noise", N_NOISES)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            sound = sounds[number % len(sounds)].copy()
            sound[-64:] += 0.001 * np.random.default_rng(number).standard_normal(64)
            soundfile.write(root / folder / f"{number:06d}.wav", sound, RATE, subtype="PCM_16")


def stages_at(root: Path, n_clips: int) -> dict[str, list[float]]:
    """Measure every stage on a corpus of its own: [CPU seconds, peak MB] by stage."""
    write_clips(root, n_clips)
    os.environ["ROBUST_TAGGER_CACHE"] = str(root / "cache")
    music, noise, out = f"folder={root}/music", f"folder={root}/noise", root / "set"
    sources = ("--music", music, "--noise", noise, "--jobs", 1, "--examples-per-shard", 50)
    found = {"scan": prep("scan", "--corpus", "folder", "--root", root / "music", "--jobs", 1)}
    prep("scan", "--corpus", "folder", "--root", root / "noise", "--jobs", 1)
    found["plan"] = prep("plan", *sources)
    found["build"] = prep("build-shards", *sources, "--snr", 0, "--out", out)
    found["verify"] = prep("verify", out, "--jobs", 1)
    found["freeze"] = prep("freeze", out, "-o", root / "curve.v1", "--jobs", 1)
    return {name: [round(cpu_s, 3), round(peak_mb, 1)] for name, (cpu_s, peak_mb) in found.items()}


def full_size(root: Path, share: float) -> dict[str, list[float]]:
    """Measure scan and plan of the thesis suite at a share of the full size, audio in the cache."""
    os.environ["ROBUST_TAGGER_CACHE"] = str(root / "cache")
    roots = write_full_size(root / "full", share)
    found = {}
    for name, folder in roots.items():
        found[f"scan {name}"] = prep("scan", "--corpus", name, "--root", folder, "--jobs", 1)
    sources: list[object] = []
    for name in ("mtat", "mtg-jamendo"):
        sources += ["--music", f"{name}={roots[name]}"]
    for name in ("audioset", "musan"):
        sources += ["--noise", f"{name}={roots[name]}"]
    found["plan thesis, k = 1, 2, 4"] = prep(
        "plan", "--suite", "thesis", *sources, "--noises", "1,2,4", "--jobs", 1
    )
    return {name: [round(cpu_s, 2), round(peak_mb)] for name, (cpu_s, peak_mb) in found.items()}


def per_clip(curve: dict[int, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Return what a further clip costs between two sizes, and its ratio: 1 is a straight line."""
    sizes = sorted(curve)
    table = {}
    for stage in STAGES:
        pairs = list(itertools.pairwise(sizes))
        ms = [1000 * (curve[b][stage][0] - curve[a][stage][0]) / (b - a) for a, b in pairs]
        kb = [1024 * (curve[b][stage][1] - curve[a][stage][1]) / (b - a) for a, b in pairs]
        table[stage] = {
            "ms_per_clip": round(ms[-1], 2),
            "last_step_over_first": round(ms[-1] / max(ms[0], 1e-9), 2),
            "kb_per_clip": round(kb[-1], 1),
            "peak_mb": curve[sizes[-1]][stage][1],
        }
    return table


@click.command()
@click.option("--quick", is_flag=True, help="20, 80 and 320 clips, a tenth of the full size.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(quick: bool, as_json: bool) -> None:
    """Measure the cost of a clip at three sizes, and scan and plan at the full size."""
    sizes = (20, 80, 320) if quick else (30, 300, 3000)
    share = 0.1 if quick else 1.0
    curve = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            curve[size] = stages_at(Path(folder), size)
    with tempfile.TemporaryDirectory() as folder:
        full = full_size(Path(folder), share)
    report = {
        "clips": list(sizes),
        "share_of_full_size": share,
        "per_clip": per_clip(curve),
        "full_size_cpu_s_and_peak_mb": full,
        "usable_cores": len(os.sched_getaffinity(0)),
    }
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return
    click.echo(f"clips: {', '.join(map(str, sizes))}")
    for stage, row in report["per_clip"].items():
        click.echo(f"{stage:8}" + "".join(f"{name} {value:10}  " for name, value in row.items()))
    for name, (cpu_s, peak_mb) in full.items():
        click.echo(f"{name:32} {cpu_s:8.1f} s CPU {peak_mb:8.0f} MB")


if __name__ == "__main__":
    main()
