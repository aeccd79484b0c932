"""Stage 3, the comparisons, and the noisy student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainer.config.model import ModelConfig
from trainer.losses import ConsistencyForm, DomainForm


@dataclass(frozen=True)
class TagConfig:
    """Stage 3 and the comparisons: the tagger.

    Attributes:
        epochs: passes over the source half; all methods take the same number of steps.
        batch_size: examples of each half in a batch on one rank.
        lr: Adam's learning rate.
        encoder_lr_scale: factor on the encoder's learning rate. 0 keeps its weights; the statistics
            of BatchNorm still become those of what it hears.
        lambda_dom: weight of the domain loss on the encoder; without it 0.05 for ``reversed``, 0.5
            for ``confusion`` and ``entropy``.
        alpha: ``dann`` ramps the weight from 0 to 1 over the run, ``constant`` does not.
        gamma: steepness of that ramp.
        freeze: the domain classifier stays as stage 2 left it; else it learns on.
        domain_loss: ``reversed`` (thesis), ``confusion`` or ``entropy``.
        refresh_every: steps from one refresh of a frozen classifier to the next, more than those of
            a refresh; 0 never refreshes it.
        refresh_steps: steps of a refresh, in which the classifier learns beside.
        consistency: form of the clean/noisy consistency loss, or none.
        consistency_weight: its weight.
        labelled_noise: the tag loss is also taken on the noisy version of source examples.
        pairs: ``source`` takes consistency on the source half, ``all`` on both, without tags; with
            no consistency loss the target half is not opened.
        select: ``mean`` picks the best checkpoint by the mean validation AUC over clean and all
            SNRs, ``clean`` by the clean one, which needs no noisy label.
        validations: validations over the stage.
        valid_limit: clips of a validation, the first N of the set; 0 takes all.
    """

    epochs: int = 800
    batch_size: int = 48
    lr: float = 1e-4
    encoder_lr_scale: float = 1.0
    lambda_dom: float | None = None
    alpha: Literal["dann", "constant"] = "dann"
    gamma: float = 10.0
    freeze: bool = True
    domain_loss: DomainForm = "reversed"
    refresh_every: int = 0
    refresh_steps: int = 10
    consistency: Literal["none"] | ConsistencyForm = "none"
    consistency_weight: float = 1.0
    labelled_noise: bool = False
    pairs: Literal["source", "all"] = "source"
    select: Literal["mean", "clean"] = "mean"
    validations: int = 40
    valid_limit: int = 0

    @property
    def domain_weight(self) -> float:
        """λ: ``lambda_dom``, or the default of the domain loss' form."""
        if self.lambda_dom is not None:
            return self.lambda_dom
        return 0.05 if self.domain_loss == "reversed" else 0.5

    @property
    def hears_pairs(self) -> bool:
        """Whether source examples are heard clean and noisy at once."""
        return self.consistency != "none" or self.labelled_noise


@dataclass(frozen=True)
class StudentConfig:
    """The noisy student: who hears what, and how its teacher is listened to.

    Attributes:
        rounds: students trained one after another, each the next one's teacher.
        teacher_hears: ``clean``: the clean member of unlabelled examples, where there is one;
            ``noisy``: the noisy one, and the clean one is never opened.
        student_hears: of unlabelled examples: ``augmented``: what the teacher hears, behind the
            strong augmentation; ``noisy``: the noisy member; ``both``: the noisy member behind the
            strong augmentation. Real recordings stand for both members.
        labelled_hears: ``clean``: labelled examples are heard clean; ``student``: as the student
            hears the unlabelled ones.
        pseudo_weight: weight of the loss on the teacher's predictions.
        teacher_cache: the teacher scores all whole chunks of each clip once, and a crop takes the
            mean of those it overlaps; else the teacher hears the crop itself.
    """

    rounds: int = 1
    teacher_hears: Literal["clean", "noisy"] = "clean"
    student_hears: Literal["augmented", "noisy", "both"] = "both"
    labelled_hears: Literal["clean", "student"] = "clean"
    pseudo_weight: float = 1.0
    teacher_cache: bool = False

    @property
    def augments(self) -> bool:
        """Whether the student hears the strong augmentation."""
        return self.student_hears != "noisy"


@dataclass(frozen=True)
class TeacherConfig:
    """What a student's config says of the first teacher.

    Attributes:
        method: what it was trained as.
        model: its encoder, from its checkpoint.
    """

    method: str
    model: ModelConfig
