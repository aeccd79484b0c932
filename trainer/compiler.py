"""What torch.compile needs beside torch: a C compiler, at run time."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from manifests.errors import ManifestError


def finds_c_compiler() -> bool:
    """Tell whether Triton, which compiles for GPUs, will find one: ``CC``, else clang or gcc."""
    named = os.environ.get("CC")
    return any(shutil.which(name) for name in ([named] if named else ["clang", "gcc"]))


@contextlib.contextmanager
def named_compiler_failure() -> Iterator[None]:
    """Say what helps where torch.compile fails, in whichever step it does.

    Raises:
        ManifestError: in place of the compiler's own error.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_of_the_compiler(error):
            raise
        said = (str(error).splitlines() or [""])[0]
        raise ManifestError(
            f"torch.compile: expected the encoder compiled, got {type(error).__name__}: {said}; "
            "train with --compile off, or install gcc and its headers"
        ) from error


def _is_of_the_compiler(error: RuntimeError) -> bool:
    """Tell by names: to import torch's compiler takes seconds where nothing is compiled."""
    kinds = [(kind.__module__, kind.__name__) for kind in type(error).__mro__]
    return any(
        module.startswith("torch._inductor") or name == "BackendCompilerFailed"
        for module, name in kinds
    )
