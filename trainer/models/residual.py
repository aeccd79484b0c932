"""The residual block of the mel networks: two 3×3 convolutions and a shortcut.

Conv - BatchNorm - ReLU - Conv - BatchNorm, plus the input, ReLU, max pool. Where the block changes
channels or strides, the shortcut is a 3×3 convolution with BatchNorm of its own. With a stride it
is ``Res_2d`` of minzwon/sota-music-tagging-models, with a pool ``Res2DMaxPoolModule`` of
minzwon/semi-supervised-music-tagging-transformer (METHOD.md 3).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """A residual block over (B, C, mel bands, frames).

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        stride: stride of the first convolution and of the shortcut.
        pool: max pool at the end, (mel bands, frames).
    """

    def __init__(
        self, n_in: int, n_out: int, *, stride: int = 1, pool: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__()
        self.pool = pool
        self.main = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, n_out, bands, frames), each divided by stride and pool."""
        out = F.relu(self.main(x) + self.shortcut(x))
        return out if self.pool == (1, 1) else F.max_pool2d(out, self.pool)
