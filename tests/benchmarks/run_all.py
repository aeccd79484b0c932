"""Run the benchmarks one after the other and write ``docs/benchmarks.md`` from what they print.

    python tests/benchmarks/run_all.py [--quick] [--only NAME]... [--figures FILE] [-o PAGE]

The page holds ratios, costs of a clip and peak memory, and the kind of machine of each bench, but
no host name. ``figures.json`` keeps what every bench said last: what is not run now is taken from
there, so that one bench can be repeated alone; ``-o -`` shows the page and changes neither file.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import torch
from pages import page

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
FIGURES = HERE / "figures.json"
COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "build": (
        ["bench_build.py", "--clips", "64", "--hours", "1", "--json"],
        ["bench_build.py", "--clips", "16", "--hours", "0", "--json"],
    ),
    "loader": (["bench_loader.py"], ["bench_loader.py", "--clips", "24", "--seconds", "2"]),
    "peers": (
        ["bench_peers.py", "--json"],
        ["bench_peers.py", "--clips", "24", "--seconds", "2", "--json"],
    ),
    "train-step": (
        ["bench_train_step.py", "--device", "cpu", "--batch", "12", "--turns", "5",
         "--seconds", "3", "--json"],
        ["bench_train_step.py", "--device", "cpu", "--seconds", "1", "--turns", "1", "--batch",
         "8", "--json"],
    ),
    "train-step-gpu": (
        ["bench_train_step.py", "--device", "cuda", "--compile", "--json"],
        ["bench_train_step.py", "--device", "cuda", "--seconds", "1", "--turns", "1", "--json"],
    ),
    "epoch": (
        ["bench_epoch.py", "--device", "cuda", "--json"],
        ["bench_epoch.py", "--device", "cuda", "--clips", "96", "--steps", "100", "--json"],
    ),
    "cost-curve": (
        ["bench_cost_curve.py", "clips", "--json"],
        ["bench_cost_curve.py", "clips", "--quick", "--json"],
    ),
    "full-size": (
        ["bench_cost_curve.py", "full-size", "--json"],
        ["bench_cost_curve.py", "full-size", "--quick", "--json"],
    ),
    "s3": (
        ["bench_s3.py", "--json"], ["bench_s3.py", "--clips", "24", "--seconds", "2", "--json"],
    ),
}  # fmt: skip
"""Arguments of each bench, in full and quick."""


def machine() -> str:
    """Return the kind of this machine: cores, CPU features, a GPU; no names of hosts."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.is_file() else set()
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    features = ", ".join(name for name in wanted if name in flags) or "no vector extensions known"
    cores = f"{len(os.sched_getaffinity(0))} cores, {platform.machine()} ({features})"
    if torch.cuda.is_available():
        return f"one {torch.cuda.get_device_name()} of {torch.cuda.device_count()}, {cores}"
    return cores


def run(name: str, quick: bool) -> dict[str, Any] | str:
    """Run a bench; returns its figures and its command, or why it cannot run here."""
    file, *arguments = COMMANDS[name][int(quick)]
    print(f"{name}: {file} {' '.join(arguments)}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, str(HERE / file), *arguments], capture_output=True, text=True
    )
    sys.stderr.write(done.stderr)
    if done.returncode:
        reason = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        print(f"{name}: left out: {reason}", file=sys.stderr)
        return reason
    figures = _loader_rows(done.stdout) if name == "loader" else json.loads(done.stdout)
    shown = [argument for argument in arguments if argument != "--json"]
    command = " ".join(["python", f"tests/benchmarks/{file}", *shown])
    return {"figures": figures, "command": command, "machine": machine()}


def _loader_rows(text: str) -> dict[str, float]:
    """Read the table of bench_loader.py: ratios by name."""
    rows = re.findall(r"^ {2}crops, trainer\.data: (.+?) +[\d.]+ +([\d.]+)$", text, re.MULTILINE)
    return {name: float(ratio) for name, ratio in rows}


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes: minutes on two cores.")
@click.option("--only", multiple=True, type=click.Choice(list(COMMANDS)), help="These alone.")
@click.option("--figures", type=click.Path(path_type=Path), default=FIGURES, show_default=False)
@click.option("-o", "--out", default=str(PAGE), show_default=False, help="The page; -: show it.")
def main(quick: bool, only: tuple[str, ...], figures: Path, out: str) -> None:
    """Run the benchmarks and write the page."""
    benches: dict[str, dict[str, Any]] = {}
    if figures.is_file():
        benches = json.loads(figures.read_text(encoding="utf-8"))
    reasons: dict[str, str] = {}
    for name in only or COMMANDS:
        found = run(name, quick)
        if isinstance(found, str):
            reasons[name] = found
            continue
        benches[name] = found
        if out != "-":  # after each: a run of an hour may be stopped
            figures.write_text(json.dumps(benches, indent=1) + "\n", encoding="utf-8")
    text = page(benches, reasons)
    if out != "-":
        Path(out).write_text(text, encoding="utf-8")
    click.echo(text, nl=False)


if __name__ == "__main__":
    main()
