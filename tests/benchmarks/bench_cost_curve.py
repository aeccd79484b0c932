"""What a clip costs as a corpus grows: time and peak memory of every stage at three sizes.

    python tests/benchmarks/bench_cost_curve.py clips|full-size [--quick] [--json]

``clips``: short clips of a few sounds, each file with bytes of its own, for scan, build, verify and
freeze. ``full-size``: scan and plan of corpora of the true full size (``full_size.py``) and of
parts of it, whose audio is not needed; a plan of a few clips costs less than starting a process.
Every stage runs in a process of its own, so its peak memory is its own. CPU time is user and system
time of the process and its children. Every size runs several times: the least counts, and how far
the runs lie apart is the noise that a step must stand out of. Prints; asserts nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent))
from full_size import n_files, write_full_size

RATE = 22_050
SECONDS = 3.0
N_NOISES = 64
RUNS = 3
"""Of every stage at every size; the largest plan runs once."""
PLAN = "plan thesis, k = 1, 2, 4"
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
    found["build"] = prep("build-shards", *sources, "--snr", 0, "--out", out)
    found["verify"] = prep("verify", out, "--jobs", 1)
    found["freeze"] = prep("freeze", out, "-o", root / "curve.v1", "--jobs", 1)
    return found


def plans_at(root: Path, share: float, runs: int) -> list[tuple[float, float]]:
    """Plan the thesis suite at a share of the full size, all audio in the scan cache."""
    sources: list[object] = []
    for name in ("mtat", "mtg-jamendo"):
        sources += ["--music", f"{name}={root / name}"]
    for name in ("audioset", "musan"):
        sources += ["--noise", f"{name}={root / name}"]
    words = ("--suite", "thesis", *sources, "--noises", "1,2,4", "--jobs", 1)
    return [prep("plan", *words) for _ in range(runs)]


def scan(corpus: str, root: Path) -> tuple[float, float]:
    """Scan a corpus whose files the cache knows."""
    cpu_s, peak_mb = prep("scan", "--corpus", corpus, "--root", root, "--jobs", 1)
    return round(cpu_s, 2), round(peak_mb)


def curve_row(curve: dict[int, list[tuple[float, float]]]) -> dict[str, float | None]:
    """Return what a further clip costs between two sizes, and its ratio: 1 is a straight line.

    A step that is no larger than runs of its two sizes lie apart is lost in that noise: None.

    Args:
        curve: [CPU seconds, peak MB] of every run by size, three sizes.
    """
    (a, first), (b, second), (c, last) = sorted(curve.items())
    cpu_s, mb = ([min(run[i] for run in runs) for runs in (first, second, last)] for i in (0, 1))
    steps_s = cpu_s[1] - cpu_s[0], cpu_s[2] - cpu_s[1]
    noise_s = [
        max(_spread_s(low), _spread_s(high)) for low, high in ((first, second), (second, last))
    ]
    costs = [step / (n - m) for step, m, n in zip(steps_s, (a, b), (b, c), strict=True)]
    first_seen, last_seen = (step > noise for step, noise in zip(steps_s, noise_s, strict=True))
    return {
        "ms_per_clip": round(1000 * costs[1], 3) if last_seen else None,
        "last_step_over_first": round(costs[1] / costs[0], 2) if first_seen and last_seen else None,
        "noise_s": round(noise_s[0], 3),
        "kb_per_clip": round(1024 * (mb[2] - mb[1]) / (c - b), 1),
        "peak_mb": round(mb[2], 1),
        "cpu_s": round(cpu_s[2], 2),
    }


def _spread_s(runs: list[tuple[float, float]]) -> float:
    return max(run[0] for run in runs) - min(run[0] for run in runs)


def clips_report(quick: bool) -> dict[str, Any]:
    """Measure what a short clip costs in every stage that touches audio."""
    sizes = (20, 80, 320) if quick else (100, 500, 2000)
    curves: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for size in sizes:
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                for stage, found in stages_at(Path(folder), size).items():
                    curves.setdefault(stage, {}).setdefault(size, []).append(found)
    return {"sizes": sizes, "rows": {stage: curve_row(curve) for stage, curve in curves.items()}}


def full_size_report(quick: bool) -> dict[str, Any]:
    """Measure the plan at shares of the full size, and every scan at the largest of them."""
    shares = (0.03, 0.05, 0.1) if quick else (0.1, 0.3, 1.0)
    plans, scans = {}, {}
    for share in shares:
        largest = share == max(shares)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            os.environ["ROBUST_TAGGER_CACHE"] = str(root / "cache")
            roots = write_full_size(root, share)
            plans[n_files(share)] = plans_at(root, share, 1 if largest else RUNS)
            if largest:
                scans = {f"scan {name}": scan(name, path) for name, path in roots.items()}
    rows = {PLAN: curve_row(plans)}
    return {"shares": shares, "sizes": list(plans), "rows": rows, "scans": scans}


REPORTS = {"clips": clips_report, "full-size": full_size_report}


@click.command()
@click.argument("part", type=click.Choice(list(REPORTS)))
@click.option("--quick", is_flag=True, help="20, 80 and 320 clips; up to a tenth of the full size.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(part: str, quick: bool, as_json: bool) -> None:
    """Measure what a clip costs at three sizes: short clips, or plans up to the full size."""
    with tempfile.TemporaryDirectory() as folder:
        stages_at(Path(folder), 4)  # compiles modules and fills the page cache: no other run does
    report = REPORTS[part](quick)
    click.echo(json.dumps(report, indent=1) if as_json else "\n".join(text_of(report)))


def text_of(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    lines = [f"sizes: {', '.join(f'{size:,}' for size in report['sizes'])}"]
    for work, row in report["rows"].items():
        figures = "  ".join(f"{name} {value}" for name, value in row.items())
        lines.append(f"{work:26}{figures}")
    for work, (cpu_s, peak_mb) in report.get("scans", {}).items():
        lines.append(f"{work:26}cpu_s {cpu_s:.1f}  peak_mb {peak_mb:.0f}")
    return lines


if __name__ == "__main__":
    main()
