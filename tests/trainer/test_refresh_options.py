"""A classifier that is refreshed now and then is frozen in between, or the run is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_suite import DAT, run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("10",), "--refresh-domain-classifier 10: expected more steps than --refresh-steps 10"),
        (("3", "--refresh-steps", "4"), "expected more steps than --refresh-steps 4"),
        (("50", "--finetune"), "expected a frozen classifier, got --finetune"),
    ],
)
def test_a_refresh_that_never_ends_or_changes_nothing_is_refused(
    suite: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "run"
    result = run(
        "dat", "--shards", suite, "--out", out, *DAT, "--refresh-domain-classifier", *options
    )
    assert result.exit_code == 2 and message in result.stderr, result.output
    assert not out.exists()
