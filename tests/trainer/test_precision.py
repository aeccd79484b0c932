"""The choice of precision, with a clock that the test turns."""

from __future__ import annotations

import pytest
import torch

from manifests.errors import UsageError
from trainer.precision import choose_precision


class Machine:
    """Steps that take a known time; the first of each precision also compiles for ten seconds."""

    def __init__(self, seconds: dict[torch.dtype, list[float]]) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.ran: list[torch.dtype] = []

    def step(self, dtype: torch.dtype) -> None:
        times = self.seconds[dtype]
        warm_up = dtype not in self.ran
        self.now += 10.0 if warm_up else times[(self.ran.count(dtype) - 1) % len(times)]
        self.ran.append(dtype)

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("float32_s", "bfloat16_s", "expected"),
    [(6.9, 1.0, torch.bfloat16), (0.1, 1.0, torch.float32), (1.0, 1.0, torch.float32)],
)
def test_the_faster_wins_and_ties_go_to_float32(
    float32_s: float, bfloat16_s: float, expected: torch.dtype
) -> None:
    machine = Machine({torch.float32: [float32_s], torch.bfloat16: [bfloat16_s]})
    assert choose_precision(machine.step, clock=machine.clock) == expected


def test_warm_up_does_not_count_and_precisions_take_turns() -> None:
    machine = Machine({torch.float32: [1.0], torch.bfloat16: [0.5]})
    choose_precision(machine.step, clock=machine.clock, n_timed=3)
    assert machine.ran == [torch.float32, torch.bfloat16] * 4
    assert machine.now == pytest.approx(2 * 10 + 3 * 1.5)


def test_one_slow_spell_does_not_decide() -> None:
    machine = Machine({torch.float32: [1.0, 1.0], torch.bfloat16: [5.0, 0.5]})
    assert choose_precision(machine.step, clock=machine.clock) == torch.bfloat16


def test_other_candidates() -> None:
    machine = Machine({torch.float64: [1.0]})
    chosen = choose_precision(machine.step, dtypes=[torch.float64], clock=machine.clock)
    assert chosen == torch.float64


def test_nothing_to_choose_or_to_time() -> None:
    for options in ({"dtypes": ()}, {"n_timed": 0}):
        with pytest.raises(UsageError, match="precision: expected candidates and at least one"):
            choose_precision(lambda _: None, **options)  # type: ignore[arg-type]
