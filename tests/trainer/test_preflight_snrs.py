"""SNRs that some epoch in the middle cannot hear are said before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_suite import COMPARISON, DAT, run


@pytest.mark.parametrize("method", ["supervised", "dat"])
def test_a_range_that_slides_between_two_rungs_is_refused_at_once(
    suite: Path, tmp_path: Path, method: str
) -> None:
    """Rungs are 10, 0 and -10 dB: [5, 10] holds one, [1, 6] none, [-10, -5] one."""
    options = DAT if method == "dat" else COMPARISON
    slide = ("--snr-draw", "stored", "--e2h", "0.5", "--e2h-mode", "slide", "--epochs", 100)
    result = run(method, "--shards", suite, "--out", tmp_path / "run", *options, *slide)
    assert result.exit_code == 2, result.output
    assert "expected one of [10.0, 0.0, -10.0] dB within" in result.output
    assert not (tmp_path / "run").exists()
