"""Freeze a network so that nothing in it moves, while gradients still pass through it.

``requires_grad = False`` alone leaves the running statistics of BatchNorm moving
(pytorch/pytorch#86590), and the ``model.train()`` at the head of an epoch silently undoes
``eval()``. ``torch.no_grad`` is not the way either: the encoder learns from the gradient that
comes back through the frozen domain classifier (METHOD.md section 4, pitfall 2).
"""

from __future__ import annotations

from types import MethodType
from typing import TypeVar

from torch import nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def freeze(module: ModuleT) -> ModuleT:
    """Fix parameters and buffers of a module, and hold it in eval mode.

    Every submodule ignores ``train()`` until ``unfreeze``, whether it is called on the module, on
    one of its parts, or on a parent.

    Args:
        module: the network; changed in place.

    Returns:
        The same module.
    """
    module.eval().requires_grad_(False)
    for part in module.modules():
        # An attribute of the instance shadows the method of the class, for this instance only.
        part.train = MethodType(_stay_in_eval, part)  # type: ignore[method-assign]
    return module


def unfreeze(module: ModuleT) -> ModuleT:
    """Undo ``freeze``: all parameters take gradients, the module is in train mode.

    Args:
        module: the network; changed in place. One that is not frozen is only set to train mode.

    Returns:
        The same module.
    """
    for part in module.modules():
        part.__dict__.pop("train", None)
    module.train().requires_grad_(True)
    return module


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    """Stand in for ``nn.Module.train`` in a frozen module: eval mode stays as it is."""
    del mode
    return module
