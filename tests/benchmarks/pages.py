"""The page of the benchmarks, from what each bench said last."""

from __future__ import annotations

from typing import Any

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
        "`make bench BENCH='--only build'` repeats one alone; with `-o -` it only shows the page.",
    ]
    sections = {
        "build": _build_lines, "loader": _loader_lines, "peers": _peer_lines,
        "train-step": _step_lines, "train-step-gpu": _step_lines, "epoch": _epoch_lines,
        "cost-curve": _curve_lines, "full-size": _full_size_lines, "s3": _s3_lines,
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
    ((device, found),) = bench["figures"].items()
    where = {"cpu": "a CPU", "cuda": "a GPU"}[device]
    rows = [
        f"| {row['name']} | {row['ratio']:.2f} | {row['gpu_peak_mb']:,.0f} |"
        if device == "cuda"
        else f"| {row['name']} | {row['ratio']:.2f} |"
        for row in found["rows"]
    ]
    best = max(row["examples_per_s"] for row in found["rows"])
    lines = [
        *_heading(f"Training step on {where}", bench),
        f"| {device} ({found['name']}), batch {found['batch']}, over eager float32 | value |"
        + (" memory, MB |" if device == "cuda" else ""),
        "|---|---|" + ("---|" if device == "cuda" else ""),
        *rows,
    ]
    work = found["work"]
    lines += [
        "",
        f"A step has {work['gflop_per_example']:.1f} GFLOP an example and keeps "
        f"{work['kept_mb_per_example']:.0f} MB for its backward pass in",
        f"float32; the fastest row is {best * work['gflop_per_example'] / 1e3:.2g} TFLOP/s.",
    ]
    if chain := found.get("augmentation"):
        share = 1 / (1 + chain["examples_per_s"] / best * 2)
        lines[-1] += (
            f" CLMR's augmentation of two views would take\n{share:.0%} of a step of stage 1 "
            "that trains at that rate."
        )
    return lines


def _epoch_lines(bench: dict[str, Any]) -> list[str]:
    found = bench["figures"]
    head = f"{found['device']}, {found['workers']} workers, `{found['preset']}` preset"
    lines = [
        *_heading("An epoch", bench),
        f"| {head} | step, ms | waiting for data | memory, MB "
        f"| epoch of {found['epoch_clips']:,} clips, s |",
        "|---|---|---|---|---|",
    ]
    for name, row in found["stages"].items():
        lines.append(
            f"| {name} | {row['step_ms']:.1f} | {row['data_wait']:.0%} | {row['memory_mb']:,.0f} "
            f"| {row['epoch_s']:,.0f} |"
        )
    return lines


def _curve_lines(bench: dict[str, Any]) -> list[str]:
    found = bench["figures"]
    sizes = ", ".join(f"{n:,}" for n in found["sizes"])
    return [
        *_heading("Cost of a clip as a corpus grows", bench),
        f"Between {sizes} clips of 3 s, one noise, two members. The ratio compares what a further",
        "clip costs in the last step with the first: 1 is a straight line, above 1 it bends up.",
        "The noise is how far runs of the first two sizes differ; a step within it has no figure.",
        "",
        *_curve_table("stage", found["rows"]),
    ]


def _full_size_lines(bench: dict[str, Any]) -> list[str]:
    found = bench["figures"]
    *smaller, largest = (f"{share:.0%}" for share in found["shares"])
    return [
        *_heading("Scan and plan at the full size", bench),
        f"At {', '.join(smaller)} and {largest} of 55,701 MTG-Jamendo, 25,863 MagnaTagATune and",
        "42,531 AudioSet files, with all 930 of MUSAN; the scan cache knows every file. Columns as",
        "above, the cost per file.",
        "",
        *_curve_table("work", found["rows"]),
        "",
        f"| work at {largest} | CPU, s | peak, MB |",
        "|---|---|---|",
        *(
            f"| {work} | {cpu_s:.1f} | {peak_mb:.0f} |"
            for work, (cpu_s, peak_mb) in _at_full_size(found).items()
        ),
    ]


def _at_full_size(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    plans = {work: (row["cpu_s"], row["peak_mb"]) for work, row in found["rows"].items()}
    return {**found["scans"], **plans}


def _curve_table(head: str, rows: dict[str, Any]) -> list[str]:
    lines = [
        f"| {head} | CPU per clip, ms | last step over first | noise, CPU s "
        "| memory per clip, kB | peak, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cost, ratio = (
            "-" if row[key] is None else f"{row[key]:.2f}"
            for key in ("ms_per_clip", "last_step_over_first")
        )
        lines.append(
            f"| {name} | {cost} | {ratio} | {row['noise_s']:.2f} | {row['kb_per_clip']:.1f} "
            f"| {row['peak_mb']:.0f} |"
        )
    return lines


def _s3_lines(bench: dict[str, Any]) -> list[str]:
    note = "The server is moto's, a Python program on the same machine."
    return [*_heading("S3", bench), note, "", *_table("figure", _named(bench, S3_ROWS))]
