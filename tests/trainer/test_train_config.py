"""The defaults of METHOD.md section 8, in one table, and the presets laid over them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from manifests.errors import UsageError
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from trainer.config import METHODS, SystemConfig, TagConfig, TrainConfig
from trainer.presets import PRESETS, ROBUST, lay_over, preset_config

THESIS: dict[str, dict[str, Any]] = {
    "model": {"width": 1.0, "last_kernel": 3, "input_level": "asis", "level_dbfs": -20.0},
    "snr": {"low_db": -10.0, "high_db": 10.0, "draw": "integer", "over": "clip",
            "relevel": "auto", "e2h_db_per_epoch": 0.0, "e2h_domain_db_per_epoch": None,
            "e2h_mode": "expand"},
    "encoder": {"batch_size": 48, "lr": 3e-4, "temperature": 0.5, "augment": True,
                "cross_domain": False},
    "domain": {"batch_size": 48, "lr": 1e-4, "hidden": (100,), "dropout": 0.0,
               "batchnorm": True},
    "tagger": {"epochs": 800, "batch_size": 48, "lr": 1e-4, "encoder_lr_scale": 1.0,
               "lambda_dom": None, "alpha": "dann", "gamma": 10.0, "freeze": True,
               "domain_loss": "reversed", "refresh_every": 0, "consistency": "none",
               "labelled_noise": False, "select": "mean", "valid_limit": 0},
}  # fmt: skip


def test_the_thesis_preset() -> None:
    config = preset_config("thesis", "dat")
    assert (CHUNK_SAMPLES, SAMPLE_RATE) == (59_049, 22_050)
    found = asdict(config)
    for section, table in THESIS.items():
        assert {name: found[section][name] for name in table} == table
    assert config.tagger.domain_weight == 0.05
    assert config.domain.epochs >= 45, "the easy-to-hard schedule needs 45 to the full range"
    assert not config.extra_target and config.seed == 0 and config.encoder_init == "pretrained"


def test_what_came_later_is_in_no_record_while_it_changes_nothing() -> None:
    config = TrainConfig()
    assert "batchnorm" not in config.record()["domain"], "runs from before go on"
    changed = replace(config, domain=replace(config.domain, batchnorm=False))
    assert changed.record()["domain"]["batchnorm"] is False


def test_inputs_are_levelled_unless_a_preset_says_otherwise() -> None:
    """The thesis' values and one level for all inputs are what one gets without --preset."""
    plain = preset_config("default", "dat")
    assert plain == TrainConfig() and plain.model.input_level == "rms"
    thesis = preset_config("thesis", "dat")
    assert replace(thesis, model=plain.model) == plain
    assert preset_config("demo", "dat").model.input_level == "rms"


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_differ_by_method_only_where_they_must(preset: str) -> None:
    """The same steps, rate and selection for all methods."""
    plain = preset_config(preset, "baseline")
    for method in METHODS:
        config = preset_config(preset, method, seed=3)  # type: ignore[arg-type]
        assert (config.method, config.seed) == (method, 3)
        tagger = config.tagger
        if method in ("robust", "consistency"):
            assert tagger.hears_pairs
            changed = ("consistency", "consistency_weight", "labelled_noise", "pairs")
            tagger = replace(tagger, **{name: getattr(plain.tagger, name) for name in changed})
        assert replace(config, method="baseline", seed=0, tagger=tagger) == plain


def test_robust_is_what_the_decision_says() -> None:
    tagger = preset_config("demo", "robust").tagger
    assert {name: getattr(tagger, name) for name in ROBUST} == ROBUST


@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({}, 0.05),
        ({"domain_loss": "confusion"}, 0.5),
        ({"domain_loss": "entropy"}, 0.5),
        ({"lambda_dom": 0.0}, 0.0),
        ({"domain_loss": "confusion", "lambda_dom": 0.2}, 0.2),
    ],
)
def test_the_weight_of_the_domain_loss(options: dict[str, Any], weight: float) -> None:
    assert TagConfig(**options).domain_weight == weight


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"SystemConfig: unknown fields \['cores'\]"):
        lay_over(SystemConfig(), {"cores": 2})
    with pytest.raises(UsageError, match="--preset mine: expected one of default, thesis, demo"):
        preset_config("mine", "dat")
