"""What each option of a run is called, what it may be, and which methods use it."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import click

from trainer.attention import MAX_HIDDEN
from trainer.cli.finite import FiniteRange
from trainer.config import (
    METHODS,
    DomainConfig,
    EncoderConfig,
    ModelConfig,
    PoolingConfig,
    SnrConfig,
    StepConfig,
    StudentConfig,
    SystemConfig,
    TagConfig,
)
from trainer.runs.stage_options import PREFIXES

SECTIONS: Final[dict[str, tuple[type, str]]] = {
    "model": (ModelConfig, ""),
    "snr": (SnrConfig, "snr"),
    "step": (StepConfig, ""),
    "encoder": (EncoderConfig, PREFIXES["encoder"]),
    "domain": (DomainConfig, PREFIXES["domain"]),
    "tagger": (TagConfig, ""),
    "student": (StudentConfig, ""),
    "pooling": (PoolingConfig, PREFIXES["pooling"]),
    "system": (SystemConfig, ""),
}
"""Config section: its class, and what its options begin with."""

NAMES: Final[dict[tuple[str, str], str]] = {
    ("tagger", "lambda_dom"): "--lambda",
    ("tagger", "freeze"): "--freeze/--finetune",
    ("tagger", "refresh_every"): "--refresh-domain-classifier",
    ("snr", "e2h_db_per_epoch"): "--e2h",
    ("snr", "e2h_domain_db_per_epoch"): "--e2h-classifier",
    ("snr", "e2h_mode"): "--e2h-mode",
    ("tagger", "labelled_noise"): "--labelled-noise/--no-labelled-noise",
    ("student", "teacher_cache"): "--teacher-cache/--no-teacher-cache",
    ("pooling", "aggregate"): "--aggregate",
    ("domain", "batchnorm"): "--classifier-batchnorm/--no-classifier-batchnorm",
    ("encoder", "augment"): "--augment/--no-augment",
    ("encoder", "cross_domain"): "--cross-domain/--same-domain",
}


FOLLOWING: Final = {"--lambda": "by the loss' form", "--e2h-classifier": "10 times --e2h"}
"""What options without a value of their own follow."""

_PAIRED: Final = ("consistency", "robust")
_DRAWING: Final = ("dat", "supervised", "labelled-noise", *_PAIRED, "noisy-student")
_ADVERSARY: Final = (
    "lambda_dom", "alpha", "gamma", "freeze", "domain_loss", "refresh_every", "refresh_steps",
)  # fmt: skip
USED_BY: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    **{("domain", field.name): ("dat",) for field in fields(DomainConfig)},
    **{("tagger", name): ("dat",) for name in _ADVERSARY},
    **{("student", field.name): ("noisy-student",) for field in fields(StudentConfig)},
    ("tagger", "consistency"): ("dat", *_PAIRED),
    ("tagger", "consistency_weight"): ("dat", *_PAIRED),
    ("tagger", "labelled_noise"): ("dat", *_PAIRED),
    ("tagger", "pairs"): _PAIRED,
    ("snr", "e2h_db_per_epoch"): _DRAWING,
    ("snr", "e2h_domain_db_per_epoch"): ("dat",),
    ("snr", "e2h_mode"): _DRAWING,
}
"""Methods that use a field; all of them use one that is not here."""

RUN_OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "preset": METHODS,
    "extra_target": ("dat",),
    "teacher": ("noisy-student",),
    "unlabelled_shards": ("noisy-student",),
}
"""Methods that use what says what a run trains and is no config field, by click parameter."""

_POSITIVE: Final = FiniteRange(0, min_open=True)
_SNR: Final = FiniteRange(-100, 100)
RANGES: Final[dict[str, click.IntRange | FiniteRange]] = {
    "chunk_s": FiniteRange(0, 60),
    "width": FiniteRange(0, 16, min_open=True),
    "attention_dim": click.IntRange(8, 4_096),
    "level_dbfs": FiniteRange(-90, 0),
    "epochs": click.IntRange(1),
    "batch_size": click.IntRange(1),
    "encoder.batch_size": click.IntRange(2),
    "validations": click.IntRange(1),
    "lr": _POSITIVE,
    "temperature": _POSITIVE,
    "gamma": _POSITIVE,
    "encoder_lr_scale": FiniteRange(0),
    "lambda_dom": FiniteRange(0),
    "consistency_weight": FiniteRange(0),
    "low_db": _SNR,
    "high_db": _SNR,
    "e2h_db_per_epoch": FiniteRange(0),
    "e2h_domain_db_per_epoch": FiniteRange(0),
    "dropout": FiniteRange(0, 1, max_open=True),
    "rounds": click.IntRange(1, 100),
    "pseudo_weight": FiniteRange(0),
    "refresh_every": click.IntRange(0),
    "refresh_steps": click.IntRange(1),
    "valid_limit": click.IntRange(0),
    "pooling.hidden": click.IntRange(1, MAX_HIDDEN),
    "pooling.limit": click.IntRange(0),
    "workers": click.IntRange(0),
    "threads": click.IntRange(0),
    "shard_cache_gb": _POSITIVE,
    "rank_timeout_s": _POSITIVE,
    "accumulate": click.IntRange(1),
}
"""Legal values by field, or by section and field."""


def parameter_name(section: str, field: str) -> str:
    """Return the click parameter of a config field."""
    return f"{section}__{field}"


def option_name(section: str, field: str) -> str:
    """Return the option of a config field, e.g. ``--encoder-lr``."""
    if given := NAMES.get((section, field)):
        return given
    prefix = SECTIONS[section][1]
    stem = f"{prefix}-{field}" if prefix else field
    return "--" + stem.replace("_", "-")


def uses(method: str, section: str, field: str) -> bool:
    """Tell whether a method uses a config field."""
    return method in USED_BY.get((section, field), METHODS)


def sets_a_run(parameter: str) -> bool:
    """Tell whether a click parameter says what one run trains; the others are of the command."""
    section, _, field = parameter.partition("__")
    return parameter in RUN_OPTIONS or (bool(field) and section != "system")


def serves(method: str, parameter: str) -> bool:
    """Tell whether a method uses a click parameter that says what a run trains."""
    section, _, field = parameter.partition("__")
    return method in RUN_OPTIONS.get(parameter, METHODS) and uses(method, section, field)
