"""A whole run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

from trainer.config.model import ModelConfig
from trainer.config.snr import SnrConfig
from trainer.config.stages import DomainConfig, EncoderConfig, PoolingConfig
from trainer.config.system import StepConfig
from trainer.config.tagger import StudentConfig, TagConfig, TeacherConfig

Method = Literal[
    "baseline",
    "supervised",
    "full-clean",
    "labelled-noise",
    "adabn",
    "consistency",
    "dat",
    "robust",
    "noisy-student",
]
METHODS: Final[tuple[str, ...]] = get_args(Method)


@dataclass(frozen=True)
class TrainConfig:
    """A whole run: what ``RUN/config.json`` holds.

    Attributes:
        method: what is trained, a row of the table.
        seed: seed of initialisation, order, crops and SNRs.
        model: the encoder.
        snr: SNRs of training.
        step: what a step of the optimizer is made of.
        encoder: stage 1.
        domain: stage 2.
        tagger: stage 3, or the comparison.
        extra_target: also take the unlabelled targets of the set ``extra-target`` (the paper's b).
        encoder_init: whether the tagger begins with the encoder of stage 1 or with a random one.
        student: the noisy student.
        teacher: its first teacher; None where that is still to be trained.
        unlabelled: the set that its unlabelled examples come from, by name and plan; empty where
            they are the target half.
        pooling: stage 4; it has a folder of its own, ``RUN/pooling``, with a config of its own.
    """

    method: Method = "dat"
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    snr: SnrConfig = field(default_factory=SnrConfig)
    step: StepConfig = field(default_factory=StepConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    domain: DomainConfig = field(default_factory=DomainConfig)
    tagger: TagConfig = field(default_factory=TagConfig)
    extra_target: bool = False
    encoder_init: Literal["pretrained", "random"] = "pretrained"
    student: StudentConfig = field(default_factory=StudentConfig)
    teacher: TeacherConfig | None = None
    unlabelled: str = ""
    pooling: PoolingConfig = field(default_factory=PoolingConfig)

    def record(self) -> dict[str, Any]:
        """Return the config of the tagger as JSON values.

        What only a noisy student has is left out elsewhere, so that it is in no other run's hash.
        Stage 4 is left out because it changes nothing in the tagger: it may be added to a run that
        is finished.
        """
        values = asdict(self)
        del values["pooling"]
        if self.domain.batchnorm:  # came later than the first runs, which had it
            del values["domain"]["batchnorm"]
        if self.method != "noisy-student":
            for name in ("student", "teacher", "unlabelled"):
                del values[name]
        return values
