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

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
FIGURES = HERE / "figures.json"
COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "build": (
        ["bench_build.py", "--clips", "64", "--hours", "1", "--json"],
        ["bench_build.py", "--clips", "16", "--hours", "0", "--json"],
    ),
    "loader": (["bench_loader.py"], ["bench_loader.py", "--clips", "16", "--seconds", "2"]),
    "peers": (
        ["bench_peers.py", "--json"],
        ["bench_peers.py", "--clips", "16", "--seconds", "2", "--json"],
    ),
    "train-step": (
        ["bench_train_step.py", "--json"],
        ["bench_train_step.py", "--device", "cpu", "--seconds", "1", "--turns", "1", "--batch",
         "8", "--json"],
    ),
    "cost-curve": (
        ["bench_cost_curve.py", "--json"], ["bench_cost_curve.py", "--quick", "--json"],
    ),
    "s3": (
        ["bench_s3.py", "--json"], ["bench_s3.py", "--clips", "8", "--seconds", "2", "--json"],
    ),
}  # fmt: skip
"""Arguments of each bench, in full and quick."""

BUILD_ROWS = {
    "build_cpu_over_floor": "build, CPU time over the floor (the same decode, resample, mix and "
    "FLAC encode in one bare loop; audit off)",
    "build_x_realtime_per_core": "build, seconds of written audio (six members) per CPU second",
    "sox_cpu_over_build": "sox recipe, CPU time over the build's (one sox process per step)",
    "lhotse_cpu_over_build": "lhotse's resample, mix and save, CPU time over the build's",
    "audit_cpu_over_build": "audit on, CPU time over audit off (every member decoded again)",
    "one_job_wall_over_two_jobs": "one job, wall time over two jobs",
    "scan_share_of_cpu": "scan, share of the CPU time of scan and build",
    "worker_mb_at_most": "worker memory at most, MB (tracks of one hour, four excerpts each)",
}
PEER_ROWS = {
    "crops_per_cpu_s_over_torch_audiomentations_prepared": "noisy crops per second of CPU time, "
    "over torch-audiomentations' AddBackgroundNoise with noise files of 22,050 Hz",
    "crops_per_cpu_s_over_torch_audiomentations_as_found": "the same with noise files of 44,100 Hz",
}
S3_ROWS = {
    "build_to_s3_wall_over_disk": "build to S3, wall time over the build to disk",
    "build_to_s3_less_plain_uploads_over_disk": "the same without what plain s3fs takes to upload "
    "the same files one after the other",
    "build_from_and_to_s3_wall_over_disk": "build to S3 with the corpora on S3 too, wall time over "
    "disk to disk",
    "build_from_and_to_s3_less_plain_transfers_over_disk": "the same without plain uploads and "
    "plain reads of the same sources",
    "crops_from_s3_over_disk": "noisy crops per second from S3 by byte ranges, over disk",
    "crops_from_s3_less_waits_over_disk": "the same, waits for the server's answers not counted",
    "crops_from_s3_with_shard_cache_over_disk": "with a warm `--shard-cache`, over disk",
}


def machine() -> str:
    """Return the kind of this machine: cores, CPU features, a GPU; no names of hosts."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.is_file() else set()
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    features = ", ".join(name for name in wanted if name in flags) or "no vector extensions known"
    return f"{len(os.sched_getaffinity(0))} cores, {platform.machine()} ({features})"


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


def _heading(title: str, bench: dict[str, Any]) -> list[str]:
    return ["", f"## {title}", "", f"`{bench['command']}` on {bench['machine']}.", ""]


def _left_out(bench: dict[str, Any]) -> list[tuple[str, str]]:
    return [(reason, "left out") for reason in bench["figures"].get("left_out", {}).values()]


def _table(head: str, rows: list[tuple[str, str]]) -> list[str]:
    return [f"| {head} | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def _named(bench: dict[str, Any], names: dict[str, str]) -> list[tuple[str, str]]:
    figures = bench["figures"]
    found = [(text, figures[key]) for key, text in names.items() if key in figures]
    return [(text, f"{value:,.{0 if value >= 100 else 2}f}") for text, value in found]


def page(benches: dict[str, dict[str, Any]], reasons: dict[str, str]) -> str:
    """Return the page for the benches that there are figures of, and why there are none."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (`tests/benchmarks/run_all.py`); figures are printed, never",
        "asserted. Ratios are of one run on one machine, so they say what is faster than what, and",
        "CPU time is used wherever waiting does not matter, as it hardly moves with what else the",
        "machine does. Peers are not dependencies: `make bench` installs lhotse, `make peers` an",
        "environment of its own for torch-audiomentations, the sox program is Debian's.",
    ]
    sections = {
        "build": _build_lines, "loader": _loader_lines, "peers": _peer_lines,
        "train-step": _step_lines, "cost-curve": _curve_lines, "s3": _s3_lines,
    }  # fmt: skip
    for name, write in sections.items():
        if name in benches:
            lines += write(benches[name])
    for name in (name for name in sections if name not in benches):
        lines += ["", f"No figures of {name}: {reasons.get(name, 'it was not run')}."]
    return "\n".join(lines) + "\n"


def _build_lines(bench: dict[str, Any]) -> list[str]:
    rows = _named(bench, BUILD_ROWS) + _left_out(bench)
    return [*_heading("Build", bench), *_table("figure", rows)]


def _loader_lines(bench: dict[str, Any]) -> list[str]:
    rows = [(name, f"{ratio:.1f}") for name, ratio in bench["figures"].items()]
    head = "crops per second over a plain WebDataset reader that decodes whole clips"
    return [*_heading("Loader", bench), *_table(head, rows)]


def _peer_lines(bench: dict[str, Any]) -> list[str]:
    rows = _named(bench, PEER_ROWS) + _left_out(bench)
    versions = bench["figures"].get("versions")
    note = [f"The peer in its own environment: {versions}.", ""] if versions else []
    return [*_heading("Mixing on the fly", bench), *note, *_table("figure", rows)]


def _step_lines(bench: dict[str, Any]) -> list[str]:
    lines = _heading("Training step", bench)
    for device, found in bench["figures"].items():
        rows = [(row["name"], f"{row['ratio']:.2f}") for row in found["rows"]]
        lines += _table(f"{device} ({found['name']}), over eager float32", rows)
    return lines


def _curve_lines(bench: dict[str, Any]) -> list[str]:
    found = bench["figures"]
    sizes = ", ".join(f"{n:,}" for n in found["clips"])
    lines = [
        *_heading("Cost of a clip as a corpus grows", bench),
        f"Between {sizes} clips of 3 s, one noise, two members. The ratio compares what a further",
        "clip costs in the last step with the first: 1 is a straight line, above 1 it bends up.",
        "",
        "| stage | CPU per clip, ms | last step over first | memory per clip, kB | peak, MB |",
        "|---|---|---|---|---|",
    ]
    for stage, row in found["per_clip"].items():
        lines.append(
            f"| {stage} | {row['ms_per_clip']:.1f} | {row['last_step_over_first']:.2f} "
            f"| {row['kb_per_clip']:.1f} | {row['peak_mb']:.0f} |"
        )
    share = found["share_of_full_size"]
    lines += [
        "",
        f"Scan (all files known) and plan at {share:.0%} of the full size: 55,701 MTG-Jamendo,",
        "25,863 MagnaTagATune, 42,531 AudioSet and 930 MUSAN files.",
        "",
        "| work | CPU, s | peak, MB |",
        "|---|---|---|",
    ]
    for name, (cpu_s, peak_mb) in found["full_size_cpu_s_and_peak_mb"].items():
        lines.append(f"| {name} | {cpu_s:.1f} | {peak_mb:.0f} |")
    return lines


def _s3_lines(bench: dict[str, Any]) -> list[str]:
    note = "The server is moto's, a Python program on the same machine."
    return [*_heading("S3", bench), note, "", *_table("figure", _named(bench, S3_ROWS))]


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
