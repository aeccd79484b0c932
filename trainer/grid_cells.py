"""The cells of a grid: methods, backbones, noises, seeds and the axes of the adversary, or rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Literal

from manifests.canonical import canonical_json
from manifests.errors import UsageError
from trainer.config import METHODS, BackboneName, Method, TrainConfig


@dataclass(frozen=True)
class Axes:
    """Values of each axis; an axis without values takes that of the method's config.

    Attributes:
        methods: rows of the table.
        backbones: networks of the encoder.
        noises: numbers of noises k: the suite's ``k1``, ``k2``, ``k4``.
        freeze: frozen or finetuned classifier.
        e2h: steps of the easy-to-hard schedule, dB an epoch; 0 is off.
        alpha: ``dann`` or ``constant``.
        weights: λ; None stands for the default of the loss' form.
        seeds: seeds.
    """

    methods: tuple[Method, ...]
    backbones: tuple[BackboneName, ...] = ()
    noises: tuple[int, ...] = (1,)
    freeze: tuple[bool, ...] = ()
    e2h: tuple[float, ...] = ()
    alpha: tuple[Literal["dann", "constant"], ...] = ()
    weights: tuple[float | None, ...] = ()
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Given:
    """What a noisy student learns from that is none of the grid's own.

    Attributes:
        teacher: run that teaches it; empty where a baseline does.
        unlabelled: set or suite of its unlabelled examples; empty where they are the target half.
    """

    teacher: str = ""
    unlabelled: str = ""


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    name: str
    k: int
    config: TrainConfig
    given: Given = Given()


def cells(axes: Axes, base: Mapping[str, TrainConfig], given: Given = Given()) -> list[Cell]:
    """Return the runs, each once; axes of the adversary multiply ``dat`` only.

    Args:
        axes: values of each axis.
        base: config of each method, from preset and options.
        given: what noisy students are given.

    Raises:
        UsageError: an unknown method, or an axis without any value.
    """
    unknown = [method for method in axes.methods if method not in METHODS]
    if unknown:
        raise UsageError(
            f"--methods: expected some of {', '.join(METHODS)}, got {', '.join(unknown)}"
        )
    if not (axes.methods and axes.noises and axes.seeds):
        raise UsageError("grid: expected at least one method, number of noises and seed, got none")
    found = [
        _cell(config, k, seed, given, named=bool(axes.backbones))
        for method in axes.methods
        for k, seed in itertools.product(axes.noises, axes.seeds)
        for one in _backbones(base[method], axes)
        for config in _variants(one, axes)
    ]
    return list({cell.name: cell for cell in found}.values())


def row_cells(
    rows: Mapping[str, TrainConfig],
    noises: tuple[int, ...],
    seeds: tuple[int, ...],
    given: Mapping[str, Given] = MappingProxyType({}),
) -> list[Cell]:
    """Return the cells of named rows.

    Args:
        rows: config by name; the name begins the names of its cells.
        noises: numbers of noises k.
        seeds: seeds.
        given: what the noisy students among the rows are given, by name.

    Raises:
        UsageError: no number of noises or seed, names that no folder can have or that two share, or
            rows that train the same tagger.
    """
    if not (noises and seeds):
        raise UsageError("grid: expected at least one number of noises and seed, got none")
    slugs = {name: re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in rows}
    if not all(slugs.values()) or len(set(slugs.values())) < len(slugs):
        raise UsageError(
            f"--rows: expected names that differ in letters and digits, got {', '.join(rows)}"
        )
    trained: dict[str, str] = {}
    for name, config in rows.items():
        what = [config.record(), asdict(given.get(name, Given()))]
        same = trained.setdefault(canonical_json(what), name)
        if same != name:
            raise UsageError(
                f"--rows: expected rows that differ, got [{same}] and [{name}] with the same "
                "tagger; one of them will do, for a row with aggregate = 'attention' is scored by "
                "the mean too"
            )
    several = len(noises) > 1
    return [
        Cell(
            f"{slugs[name]}{f'-k{k}' if several else ''}-s{seed}",
            k,
            replace(config, seed=seed),
            given.get(name, Given()),
        )
        for name, config in rows.items()
        for k, seed in itertools.product(noises, seeds)
    ]


def _backbones(base: TrainConfig, axes: Axes) -> Iterator[TrainConfig]:
    for name in axes.backbones or (base.model.backbone,):
        yield replace(base, model=replace(base.model, backbone=name))


def _variants(base: TrainConfig, axes: Axes) -> Iterator[TrainConfig]:
    """Iterate over the values of the adversary's axes."""
    if base.method != "dat":
        yield base
        return
    tagger = base.tagger
    for freeze, e2h, alpha, weight in itertools.product(
        axes.freeze or (tagger.freeze,),
        axes.e2h or (base.snr.e2h_db_per_epoch,),
        axes.alpha or (tagger.alpha,),
        axes.weights or (tagger.lambda_dom,),
    ):
        yield replace(
            base,
            tagger=replace(tagger, freeze=freeze, alpha=alpha, lambda_dom=weight),
            snr=replace(base.snr, e2h_db_per_epoch=e2h),
        )


def _cell(config: TrainConfig, k: int, seed: int, given: Given, *, named: bool) -> Cell:
    backbone = f"-{config.model.backbone}" if named else ""
    tagger, e2h = config.tagger, config.snr.e2h_db_per_epoch
    name = f"{config.method}{backbone}-k{k}"
    if config.method == "dat":
        name += f"-{'freeze' if tagger.freeze else 'finetune'}-{f'e2h{e2h:g}' if e2h else 'full'}"
        name += f"-{tagger.alpha}-l{tagger.domain_weight:g}"
    own = given if config.method == "noisy-student" else Given()
    return Cell(f"{name}-s{seed}", k, replace(config, seed=seed), own)
