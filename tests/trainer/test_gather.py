"""NT-Xent over gathered projections: two gloo processes against one with the whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import distributed, nn
from torch import multiprocessing as mp

from trainer.gather import gather_with_gradient
from trainer.gradient_cache import backward_in_parts
from trainer.losses import nt_xent
from trainer.runs.distributed import World, average_gradients

N_RANKS = 2
PER_RANK = 3


def encoder() -> nn.Linear:
    torch.manual_seed(20)
    return nn.Linear(4, 3)


def views() -> torch.Tensor:
    return torch.randn(2, N_RANKS * PER_RANK, 4, generator=torch.Generator().manual_seed(21))


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=N_RANKS)
    network = nn.parallel.DistributedDataParallel(encoder())
    part = views()[:, rank * PER_RANK : (rank + 1) * PER_RANK]
    z_a, z_b = network(part.flatten(0, 1)).view(2, PER_RANK, 3)
    loss = nt_xent(z_a, z_b, gather=gather_with_gradient)
    loss.backward()
    result = {"loss": loss.detach(), "gradient": network.module.weight.grad}
    result |= in_parts(part)
    torch.save(result, Path(folder) / f"{rank}.pt")
    distributed.barrier()  # gloo aborts a process whose peer is gone while its threads still run
    del network
    distributed.destroy_process_group()


def in_parts(views: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same in a batch of two pairs and one of one, with ``average_gradients`` for DDP."""
    network = encoder()

    def loss_of(projections: Sequence[torch.Tensor]) -> torch.Tensor:
        z_a, z_b = (torch.cat(z) for z in zip(*(z.chunk(2) for z in projections), strict=True))
        return nt_xent(z_a, z_b, gather=gather_with_gradient)

    batches = [views[:, :2].flatten(0, 1), views[:, 2:].flatten(0, 1)]
    loss = backward_in_parts(batches, network, loss_of, [network])
    average_gradients(network.parameters(), World(0, N_RANKS))
    assert network.weight.grad is not None
    return {"loss in parts": loss, "gradient in parts": network.weight.grad}


def test_two_ranks_equal_one_process(tmp_path: Path) -> None:
    mp.spawn(run_rank, (str(tmp_path),), nprocs=N_RANKS)
    network = encoder()
    z_a, z_b = network(views().flatten(0, 1)).view(2, -1, 3)
    loss = nt_xent(z_a, z_b)
    loss.backward()
    for rank in range(N_RANKS):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for way in ("", " in parts"):
            torch.testing.assert_close(found[f"loss{way}"], loss.detach())
            torch.testing.assert_close(found[f"gradient{way}"], network.weight.grad)


def test_identity_in_one_process() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(x) is x
