"""A stage small enough to train to the bit in a test."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from trainer.runs.checkpoint import TrainingState

OptimizerOf = Callable[[nn.Module], torch.optim.Optimizer]


class Training:
    """A tiny stage: BatchNorm, dropout from the global generator, data from one of its own."""

    def __init__(self, make: OptimizerOf, seed: int = 0, width: int = 8) -> None:
        torch.manual_seed(seed)
        self.net = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.5),
            nn.Flatten(), nn.Linear(width * 16, 3),
        ).to(memory_format=torch.channels_last)  # fmt: skip
        self.optimizer = make(self.net)
        self.generator = torch.Generator().manual_seed(seed)
        self.state = TrainingState(
            {"net": self.net}, {"adam": self.optimizer}, {"data": self.generator}
        )

    def steps(self, count: int) -> list[float]:
        losses = []
        for _ in range(count):
            x = torch.randn(6, 1, 4, 4, generator=self.generator)
            loss = self.net(x).square().mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses


OPTIMIZERS: dict[str, OptimizerOf] = {
    "adam": lambda net: torch.optim.Adam(net.parameters(), lr=1e-2),
    "fused": lambda net: torch.optim.Adam(net.parameters(), lr=1e-2, fused=True),
    "foreach": lambda net: torch.optim.Adam(net.parameters(), lr=1e-2, foreach=True),
    "amsgrad": lambda net: torch.optim.AdamW(net.parameters(), lr=1e-2, amsgrad=True),
    "tensor lr": lambda net: torch.optim.Adam(net.parameters(), lr=torch.tensor(1e-2)),
    "momentum": lambda net: torch.optim.SGD(net.parameters(), lr=1e-2, momentum=0.9),
    "groups": lambda net: torch.optim.Adam(
        [{"params": net[0].parameters(), "lr": 1e-3}, {"params": net[5].parameters()}], lr=1e-2
    ),
}
