"""Examples per second of a training step: plain PyTorch against the ways this trainer has.

Run: ``python tests/benchmarks/bench_train_step.py [--device D] [--seconds S] [--compile] [--json]``

A step is forward, backward and Adam of SampleCNN with its label predictor on a batch of 48 crops of
59,049 samples, at full width. *Plain* is the network as it is published: eager, float32, Conv1d.
Every variant runs in a process of its own, for allocator settings and thread pools do not leave
one; the processes run one after the other, in turns, and the best turn of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from manifests.rows import CHUNK_SAMPLES
from trainer.allocator import keep_freed_memory
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

    @property
    def name(self) -> str:
        extras = {
            "kept memory": self.keep_memory,
            "fused Adam": self.fused,
            "compiled": self.compiled,
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
    rows += [Variant("conv2d", dtype, kept, True) for dtype in ("float32", "bfloat16")]
    if compiled:
        rows += [Variant("conv2d", dtype, kept, True, True) for dtype in ("float32", "bfloat16")]
    return rows


def measure(variant: Variant, device: str, batch: int, seconds: float, threads: int) -> float:
    """Examples per second of a variant in this process."""
    if variant.keep_memory and not keep_freed_memory():
        raise SystemExit("kept memory: needs glibc")
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    encoder = SampleCNN(layout=variant.layout).to(device)  # type: ignore[arg-type]
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

    for _ in range(WARM_UP):
        step()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 2:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return batch / sorted(times)[len(times) // 2]


def measured_apart(variant: Variant, options: argparse.Namespace) -> float | None:
    """Measure a variant in a process of its own; None where it does not run here."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--one", json.dumps(asdict(variant)),
         "--device", options.device, "--batch", str(options.batch),
         "--seconds", str(options.seconds), "--threads", str(options.threads)],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        print(f"{variant.name}: {(done.stderr.splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    return float(done.stdout)


def table(options: argparse.Namespace) -> list[dict[str, object]]:
    """Measure every variant, in turns."""
    best: dict[Variant, float] = {}
    failed = set[Variant]()
    for _ in range(options.turns):
        for variant in variants(options.device, options.compile):
            if variant not in failed:
                found = measured_apart(variant, options)
                if found is None:
                    failed.add(variant)
                else:
                    best[variant] = max(found, best.get(variant, 0.0))
    plain = best[PLAIN]
    return [
        asdict(variant)
        | {"name": variant.name, "examples_per_s": round(rate, 2), "ratio": round(rate / plain, 2)}
        for variant, rate in best.items()
    ]


def cpu_features() -> str:
    """What this CPU has of the instructions that bfloat16 is fast with."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.is_file() else set()
    named = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags]
    return ", ".join(named) or platform.machine()


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
        variant = Variant(**json.loads(options.one))
        rate = measure(variant, options.device, options.batch, options.seconds, options.threads)
        print(rate)
        return
    devices = [options.device] if options.device else ["cpu"]
    if options.device is None and torch.cuda.is_available():
        devices.append("cuda")
    report = {}
    for options.device in devices:
        name = torch.cuda.get_device_name() if options.device == "cuda" else cpu_features()
        rows = table(options)
        report[options.device] = {"name": name, "batch": options.batch, "rows": rows}
        if not options.json:
            print(f"{options.device} ({name}), batch {options.batch} x {CHUNK_SAMPLES} samples")
            for row in rows:
                print(f"  {row['name']:48} {row['examples_per_s']:9.1f}/s  {row['ratio']:6.2f} x")
    if options.json:
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
