"""Examples per second of a training step: plain PyTorch against the ways this trainer has.

Run: ``python tests/benchmarks/bench_train_step.py [--device D] [--seconds S] [--compile] [--json]``

A step is forward, backward and Adam of SampleCNN with its label predictor on a batch of 48 crops of
59,049 samples, at full width. *Plain* is the network as it is published: eager, float32, Conv1d.
Every variant runs in a process of its own, for allocator settings and thread pools do not leave
one; the processes run one after the other, in turns, and the best turn of each counts. Beside the
rate stand the CPU time of an example, which other programs on the machine hardly change, and the
most memory that a GPU gave. The last lines are what stage 1 adds, CLMR's augmentation of two views,
and the work of a step as counted from the operators: what a roofline is drawn with.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from manifests.rows import CHUNK_SAMPLES
from trainer.allocator import keep_freed_memory
from trainer.augment import CLMR, AugmentationChain
from trainer.losses import tag_loss
from trainer.models.heads import LabelPredictor
from trainer.models.samplecnn import SampleCNN

N_TAGS = 50
WARM_UP = 2


@dataclass(frozen=True)
class Variant:
    """One way to compute the same step."""

    layout: str = "conv1d"
    dtype: str = "float32"
    keep_memory: bool = False
    fused: bool = False
    compiled: bool = False
    folded: bool = True

    @property
    def name(self) -> str:
        extras = {
            "kept memory": self.keep_memory,
            "fused Adam": self.fused,
            "compiled": self.compiled,
            "first norm by itself": not self.folded,
        }
        parts = [self.layout, self.dtype, *(word for word, on in extras.items() if on)]
        return ", ".join(parts)


PLAIN = Variant()


def variants(device: str, compiled: bool) -> list[Variant]:
    """The table's rows; kept memory is glibc's, so it is left out on a GPU."""
    ways = [
        (layout, dtype, keep)
        for keep in ((False, True) if device == "cpu" else (False,))
        for dtype in ("float32", "bfloat16")
        for layout in ("conv1d", "conv2d")
    ]
    rows = [Variant(*way) for way in ways]
    kept = device == "cpu"
    if device == "cpu":
        rows.append(Variant("conv2d", "bfloat16", kept, folded=False))
    rows += [Variant("conv2d", dtype, kept, True) for dtype in ("float32", "bfloat16")]
    if compiled:
        rows += [Variant("conv2d", dtype, kept, True, True) for dtype in ("float32", "bfloat16")]
    return rows


@dataclass(frozen=True)
class Rate:
    """What was measured of one variant."""

    examples_per_s: float
    cpu_ms: float
    gpu_peak_mb: float


def measure(variant: Variant, device: str, batch: int, seconds: float, threads: int) -> Rate:
    """Measure a variant in this process."""
    if variant.keep_memory and not keep_freed_memory():
        raise SystemExit("kept memory: needs glibc")
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    encoder = SampleCNN(layout=variant.layout).to(device)  # type: ignore[arg-type]
    if not variant.folded:  # any other BatchNorm is left as it is, as SyncBatchNorm must be
        own = torch.nn.BatchNorm2d(encoder.first.norm.num_features).to(device)
        encoder.first.norm = own  # type: ignore[assignment]
    predictor = LabelPredictor(encoder.n_features, N_TAGS).to(device)
    parameters = [*encoder.parameters(), *predictor.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=variant.fused or None)
    forward = torch.compile(encoder) if variant.compiled else encoder
    audio = 0.1 * torch.randn(batch, 1, CHUNK_SAMPLES, device=device)
    tags = (torch.rand(batch, N_TAGS, device=device) > 0.9).float()
    dtype = getattr(torch, variant.dtype)

    def step() -> None:
        with torch.autocast(device, dtype, enabled=dtype is not torch.float32):
            loss = tag_loss(predictor(forward(audio)), tags)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return timed(step, batch, seconds, device)


def timed(work: Callable[[], None], batch: int, seconds: float, device: str) -> Rate:
    """Time some work on a batch: the median of the wall times, the mean of the CPU times."""
    for _ in range(WARM_UP):
        work()
    times: list[float] = []
    cpu_s = time.process_time()
    while sum(times) < seconds or len(times) < 2:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    cpu_ms = 1_000 * (time.process_time() - cpu_s) / len(times) / batch
    peak_mb = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else 0.0
    return Rate(batch / sorted(times)[len(times) // 2], cpu_ms, peak_mb)


def augmentation(device: str, batch: int, seconds: float, threads: int) -> Rate:
    """Measure CLMR's augmentation of both views of a batch."""
    if threads:
        torch.set_num_threads(threads)
    if device == "cpu":
        keep_freed_memory()
    chain, generator = AugmentationChain(CLMR), torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(batch, 1, CHUNK_SAMPLES, device=device)

    def both() -> None:
        for _ in range(2):
            chain(audio, generator)
        if device == "cuda":
            torch.cuda.synchronize()

    return timed(both, batch, seconds, device)


def work_of_a_step() -> dict[str, float]:
    """Count a step's operations, and what it keeps for the backward pass."""
    encoder, examples = SampleCNN(), 2
    predictor = LabelPredictor(encoder.n_features, N_TAGS)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    tags = torch.zeros(examples, N_TAGS)
    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = tag_loss(predictor(encoder(torch.randn(examples, 1, CHUNK_SAMPLES))), tags)
        loss.backward()
    n_learned = sum(p.numel() for p in (*encoder.parameters(), *predictor.parameters()))
    return {
        "gflop_per_example": round(counter.get_total_flops() / examples / 1e9, 2),
        "kept_mb_per_example": round(sum(kept.values()) / examples / 1e6, 1),
        "gradient_mb_per_step": round(4 * n_learned / 1e6, 2),
    }


def measured_apart(variant: Variant | None, options: argparse.Namespace) -> Rate | None:
    """Measure a variant, or the augmentation, in a process of its own; None where it fails."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()),
         "--one", json.dumps(asdict(variant) if variant else None),
         "--device", options.device, "--batch", str(options.batch),
         "--seconds", str(options.seconds), "--threads", str(options.threads)],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        name = variant.name if variant else "augmentation"
        print(f"{name}: {(done.stderr.splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    return Rate(**json.loads(done.stdout))


def table(options: argparse.Namespace) -> list[dict[str, object]]:
    """Measure every variant, in turns."""
    best: dict[Variant, Rate] = {}
    failed = set[Variant]()
    for _ in range(options.turns):
        for variant in variants(options.device, options.compile):
            if variant not in failed:
                found = measured_apart(variant, options)
                if found is None:
                    failed.add(variant)
                else:
                    before = best.get(variant, found)
                    best[variant] = max(found, before, key=lambda rate: rate.examples_per_s)
    plain = best[PLAIN].examples_per_s
    return [
        asdict(variant)
        | rounded(rate)
        | {"name": variant.name, "ratio": round(rate.examples_per_s / plain, 2)}
        for variant, rate in best.items()
    ]


def rounded(rate: Rate) -> dict[str, float]:
    """The figures of a report."""
    return {name: round(value, 2) for name, value in asdict(rate).items()}


def cpu_features() -> str:
    """What this CPU has of the instructions that bfloat16 is fast with."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.is_file() else set()
    named = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags]
    return ", ".join(named) or platform.machine()


def print_report(device: str, report: dict[str, Any]) -> None:
    """Print the table of a device."""
    print(f"{device} ({report['name']}), batch {report['batch']} x {CHUNK_SAMPLES} samples")
    rows = report["rows"]
    if chain := report["augmentation"]:
        rows = [*rows, chain | {"name": "CLMR augmentation of two views", "ratio": math.nan}]
    for row in rows:
        memory = f"{row['gpu_peak_mb']:9,.0f} MB" if device == "cuda" else ""
        print(
            f"  {row['name']:48} {row['examples_per_s']:9.1f}/s  {row['ratio']:6.2f} x "
            f"{row['cpu_ms']:9.2f} CPU ms an example{memory}"
        )
    work = report["work"]
    print(
        f"  a step: {work['gflop_per_example']} GFLOP an example, {work['kept_mb_per_example']} MB "
        f"kept for its backward pass in float32, {work['gradient_mb_per_step']} MB of gradients"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None, help="default: both")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="0 leaves torch's own choice")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        given = json.loads(options.one)
        shared = (options.device, options.batch, options.seconds, options.threads)
        rate = measure(Variant(**given), *shared) if given else augmentation(*shared)
        print(json.dumps(asdict(rate)))
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.exit(1, "needs a CUDA device\n")
    devices = [options.device] if options.device else ["cpu"]
    if options.device is None and torch.cuda.is_available():
        devices.append("cuda")
    report = {}
    for options.device in devices:
        name = torch.cuda.get_device_name() if options.device == "cuda" else cpu_features()
        rows, chain = table(options), measured_apart(None, options)
        report[options.device] = {
            "name": name,
            "batch": options.batch,
            "rows": rows,
            "augmentation": rounded(chain) if chain else None,
            "work": work_of_a_step(),
        }
        if not options.json:
            print_report(options.device, report[options.device])
    if options.json:
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
