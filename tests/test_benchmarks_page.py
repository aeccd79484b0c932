"""docs/benchmarks.md is what the benchmarks last said, and nothing else."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    for name in ("run_all", "pages", "bench_cost_curve", "bench_epoch"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("benchmarks")
def test_the_page_holds_the_last_figures() -> None:
    import run_all

    benches = json.loads(run_all.FIGURES.read_text(encoding="utf-8"))
    assert run_all.PAGE.read_text(encoding="utf-8") == run_all.page(benches, {})
    empty = run_all.page({}, {"s3": "moto is not installed"})
    assert "No figures of s3: moto is not installed." in empty
    assert "No figures of build: it was not run." in empty


@pytest.mark.usefixtures("benchmarks")
def test_a_step_within_the_noise_has_no_figure() -> None:
    """Processes that start in 2.0 to 2.5 s say nothing of a work that takes 0.1 s of them."""
    from bench_cost_curve import curve_row
    from pages import _curve_table

    def row(*least_s: float) -> dict[str, float | None]:
        small, middle, large = least_s
        return curve_row({
            30: [(small, 150.0), (small + 0.5, 151.0)],
            300: [(middle + 0.3, 152.0), (middle, 150.0)],
            3000: [(large, 160.0)],
        })  # fmt: skip

    lost = row(2.0, 2.1, 2.3)
    assert lost["ms_per_clip"] is None and lost["last_step_over_first"] is None
    first_lost = row(2.0, 2.1, 29.1)
    assert first_lost["ms_per_clip"] == 10.0 and first_lost["last_step_over_first"] is None
    seen = row(2.0, 4.7, 58.7)
    assert (seen["ms_per_clip"], seen["last_step_over_first"], seen["noise_s"]) == (20.0, 2.0, 0.5)
    table = _curve_table("stage", {"plan": lost, "build": seen})
    assert table[2].startswith("| plan | - | - | 0.50 | ")
    assert table[3].startswith("| build | 20.00 | 2.00 | 0.50 | ")


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # WebDataset 1.0 leaves it
def test_the_plain_reader_fills_a_batch_from_few_clips(tmp_path: Path) -> None:
    import bench_loader
    from tiny_sets import write_set

    shard_set = write_set(str(tmp_path), n_songs=2, excerpts=1, n_samples=3 * 22_050)
    crops = bench_loader.whole_clips(shard_set, "clean.flac")
    assert next(crops) == bench_loader.BATCH
    del crops
    gc.collect()


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize("name", ["loader", "peers", "epoch", "s3"])
def test_quick_sizes_hold_a_batch_of_different_songs(name: str) -> None:
    import run_all

    file, *arguments = run_all.COMMANDS[name][1]
    bench = importlib.import_module(Path(file).stem)
    assert int(arguments[arguments.index("--clips") + 1]) >= bench.BATCH


@pytest.mark.usefixtures("benchmarks")
def test_fewer_clips_than_a_batch_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bench_loader", "bench_peers"):
        bench = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [name, "--clips", "23"])
        with pytest.raises(SystemExit) as caught:
            bench.main()
        assert caught.value.code == 2
        assert "--clips: expected at least 24" in capsys.readouterr().err
