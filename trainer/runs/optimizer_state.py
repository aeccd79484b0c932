"""The state of an optimizer as named tensors and JSON: no pickle is written or read."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer

from manifests.errors import ManifestError

Tensors = dict[str, torch.Tensor]


def optimizer_record(optimizer: Optimizer) -> tuple[Tensors, dict[str, Any]]:
    """Take the state of an optimizer apart.

    Returns:
        Tensors by ``state.PARAMETER.FIELD`` or ``group.NUMBER.OPTION``, and all other values as
        JSON: ``kind``, ``state`` by parameter number, ``groups`` in order.
    """
    whole = optimizer.state_dict()
    tensors, state = Tensors(), dict[str, dict[str, Any]]()
    for parameter, fields in whole["state"].items():
        for field, value in fields.items():
            if isinstance(value, torch.Tensor):
                tensors[f"state.{parameter}.{field}"] = value
            else:
                state.setdefault(str(parameter), {})[field] = value
    groups = []
    for number, group in enumerate(whole["param_groups"]):
        groups.append({k: v for k, v in group.items() if not isinstance(v, torch.Tensor)})
        held = {k: v for k, v in group.items() if isinstance(v, torch.Tensor)}
        tensors |= {f"group.{number}.{option}": value for option, value in held.items()}
    return tensors, {"kind": type(optimizer).__name__, "state": state, "groups": groups}


def restore_optimizer(
    optimizer: Optimizer, tensors: Tensors, record: dict[str, Any], name: str
) -> None:
    """Put a state back into an optimizer of the same kind over the same parameters.

    Args:
        optimizer: changed in place.
        tensors: as ``optimizer_record`` returns them.
        record: as ``optimizer_record`` returns it.
        name: for messages.

    Raises:
        ManifestError: another kind of optimizer, or other groups, parameters or shapes.
    """
    current = optimizer.state_dict()["param_groups"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if record.get("kind") != type(optimizer).__name__:
        raise ManifestError(
            f"{name}: expected the state of {type(optimizer).__name__}, got "
            f"{record.get('kind')}; resume with the options of the run"
        )
    layout = [group["params"] for group in current]
    found = [group["params"] for group in record["groups"]]
    if found != layout:
        raise ManifestError(
            f"{name}: expected groups of {[len(group) for group in layout]} parameters, got "
            f"{[len(group) for group in found]}; resume with the options of the run"
        )
    state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in record["state"].items()}
    groups = [dict(group) for group in record["groups"]]
    for place, value in tensors.items():
        kind, number, option = place.split(".", 2)
        if kind == "group":
            groups[int(number)][option] = value
        else:
            parameter = _parameter(parameters, int(number), f"{name}: {place}")
            state.setdefault(int(number), {})[option] = _fitted(value, parameter, f"{name}.{place}")
    for group, now in zip(groups, current, strict=True):
        # JSON has no tuples; the betas of Adam are one.
        group |= {k: tuple(v) for k, v in group.items() if isinstance(now.get(k), tuple)}
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _parameter(parameters: list[torch.Tensor], number: int, place: str) -> torch.Tensor:
    if not 0 <= number < len(parameters):
        raise ManifestError(f"{place}: expected one of {len(parameters)} parameters")
    return parameters[number]


def _fitted(value: torch.Tensor, parameter: torch.Tensor, place: str) -> torch.Tensor:
    """Return a state tensor in the memory layout of its parameter; counters (0-d) as they are."""
    if value.ndim == 0:
        return value
    if value.shape != parameter.shape:
        raise ManifestError(
            f"{place}: expected shape {tuple(parameter.shape)}, got {tuple(value.shape)}; "
            "the checkpoint is of another model"
        )
    return torch.empty_like(parameter, dtype=value.dtype, device="cpu").copy_(value)
