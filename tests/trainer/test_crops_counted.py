"""The speed in the log counts one thing in every stage: crops that the learning network hears."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_suite import DAT, run_well

from trainer.keeper import Keeper


@pytest.mark.parametrize(("options", "of_the_tagger"), [((), 8), (("--labelled-noise",), 12)])
def test_crops_of_each_stage(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...], of_the_tagger: int,
) -> None:  # fmt: skip
    counted: dict[str, set[int]] = {}
    real = Keeper.heard

    def heard(self: Keeper, figures: Mapping[str, Any], n: int) -> None:
        if n:
            counted.setdefault(self.stage, set()).add(n)
        real(self, figures, n)

    monkeypatch.setattr(Keeper, "heard", heard)
    run_well("dat", "--shards", suite, "--out", tmp_path / "run", *DAT, *options)
    assert counted == {"encoder": {8}, "domain": {8}, "dat": {of_the_tagger}}
