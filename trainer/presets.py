"""Presets: values laid over the defaults, and the recipe of ``train robust``.

``default`` lays nothing over: the thesis' hyper-parameters, with every input at one level.
``thesis`` hears inputs as they are, ``demo`` trains in a few minutes on two cores.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from manifests.errors import UsageError
from trainer.config import Method, TrainConfig

DEFAULT: Final = "default"
PRESETS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    DEFAULT: {},
    "thesis": {"model": {"input_level": "asis"}},
    "demo": {
        "model": {"width": 0.25},
        "encoder": {
            "epochs": 7,
            "batch_size": 32,
            "lr": 1e-3,
            "temperature": 0.1,
            "validations": 1,
        },
        "domain": {"epochs": 15, "batch_size": 24, "lr": 1e-3, "validations": 2},
        "tagger": {
            "epochs": 12,
            "batch_size": 24,
            "lr": 1e-3,
            "validations": 2,
            "domain_loss": "confusion",
            "lambda_dom": 0.1,
        },
        "pooling": {"batch_size": 24},
    },
}

ROBUST: Final[dict[str, Any]] = {
    "labelled_noise": True,
    "consistency": "embedding",
    "consistency_weight": 0.1,
    "pairs": "all",
}
"""The recipe we recommend: docs/decisions/0006-robust.md."""

Config = TypeVar("Config")


def lay_over(config: Config, values: dict[str, Any]) -> Config:
    """Return a config with some fields changed.

    Raises:
        UsageError: a field does not exist.
    """
    names = {field.name for field in fields(config)}  # type: ignore[arg-type]
    if unknown := values.keys() - names:
        raise UsageError(f"{type(config).__name__}: unknown fields {sorted(unknown)}")
    changed: Config = replace(config, **values)  # type: ignore[type-var]
    return changed


def preset_config(preset: str, method: Method, seed: int = 0) -> TrainConfig:
    """Return the config of a preset for a method.

    Raises:
        UsageError: there is no such preset.
    """
    if preset not in PRESETS:
        raise UsageError(f"--preset {preset}: expected one of {', '.join(PRESETS)}")
    config = TrainConfig(method=method, seed=seed)
    sections = {
        name: lay_over(getattr(config, name), values) for name, values in PRESETS[preset].items()
    }
    config = replace(config, **sections)
    if method == "robust":
        config = replace(config, tagger=lay_over(config.tagger, ROBUST))
    if method == "consistency":
        config = replace(config, tagger=lay_over(config.tagger, {"consistency": "embedding"}))
    return config
