"""Put a checkpoint back into networks, optimizers and generators, or refuse it clearly."""

from __future__ import annotations

import torch
from torch import nn

from manifests.errors import ManifestError
from trainer.runs.checkpoint import Checkpoint, TrainingState
from trainer.runs.optimizer_state import Tensors, restore_optimizer

_SHOWN = 3


def restore(checkpoint: Checkpoint, state: TrainingState) -> None:
    """Put everything back, so that training goes on with the same bits on a CPU.

    Args:
        checkpoint: as read.
        state: networks, optimizers and generators under the names they were saved with; changed
            in place. Nothing is changed where a network does not fit.

    Raises:
        ManifestError: a network, optimizer or generator is missing, or of other names or shapes.
    """
    for name, module in state.modules.items():
        check_weights(checkpoint, name, module)
    for name, module in state.modules.items():
        load_weights(checkpoint, name, module)
    for name, optimizer in state.optimizers.items():
        if name not in checkpoint.optimizers:
            held = ", ".join(checkpoint.optimizers) or "none"
            raise ManifestError(
                f"{checkpoint.path}: expected the state of optimizer {name}, got {held}; "
                "only checkpoints of training can be resumed"
            )
        tensors = _below(checkpoint.optimizer, name)
        where = f"{checkpoint.path}: {name}"
        restore_optimizer(optimizer, tensors, checkpoint.optimizers[name], where)
    for name, generator in state.generators.items():
        if f"own/{name}" not in checkpoint.random:
            raise ManifestError(f"{checkpoint.path}: expected the state of generator {name}")
        generator.set_state(checkpoint.random[f"own/{name}"])
    torch.set_rng_state(checkpoint.random["torch"])
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            if f"cuda/{number}" in checkpoint.random:
                torch.cuda.set_rng_state(checkpoint.random[f"cuda/{number}"], number)


def load_weights(checkpoint: Checkpoint, name: str, module: nn.Module) -> None:
    """Load one network's weights, e.g. the encoder of a stage 1.

    Raises:
        ManifestError: see ``check_weights``.
    """
    check_weights(checkpoint, name, module)
    module.load_state_dict(_below(checkpoint.weights, name))


def check_weights(checkpoint: Checkpoint, name: str, module: nn.Module) -> None:
    """Check that a network's tensors are all there, with its shapes, and no others.

    Raises:
        ManifestError: the network is not in the checkpoint, or names or shapes differ.
    """
    found, expected = _below(checkpoint.weights, name), module.state_dict()
    if not found and expected:
        held = ", ".join(sorted({place.split("/")[0] for place in checkpoint.weights})) or "none"
        raise ManifestError(f"{checkpoint.path}: expected the weights of {name}, got {held}")
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    if missing or extra:
        raise ManifestError(
            f"{checkpoint.path}: {name}: expected the tensors of this model, got "
            f"{len(missing)} missing{_first(missing)} and {len(extra)} others{_first(extra)}; "
            "the checkpoint is of another model"
        )
    for place, tensor in expected.items():
        if found[place].shape != tensor.shape:
            raise ManifestError(
                f"{checkpoint.path}: {name}.{place}: expected shape {tuple(tensor.shape)}, got "
                f"{tuple(found[place].shape)}; the checkpoint is of another model"
            )


def _first(names: list[str]) -> str:
    return f" ({', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})" if names else ""


def _below(tensors: Tensors, name: str) -> Tensors:
    prefix = f"{name}/"
    return {p.removeprefix(prefix): t for p, t in tensors.items() if p.startswith(prefix)}
