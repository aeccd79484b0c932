"""The configuration of every stage: the only home of the trainer's defaults (METHOD.md section 8).

One frozen dataclass per stage, saved as JSON beside the weights. ``trainer.presets`` lays values
over the defaults.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from trainer.losses import ConsistencyForm, DomainForm

InputLevel = Literal["rms", "asis"]
BackboneName = Literal["samplecnn", "transformer", "shortchunk", "musicnn"]
Aggregation = Literal["mean", "attention"]
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
Preset = Literal["thesis", "demo"]


@dataclass(frozen=True)
class ModelConfig:
    """The encoder and what goes into it.

    Attributes:
        backbone: network of the encoder: ``samplecnn`` hears the waveform, the others a mel
            spectrogram.
        chunk_s: length of one input, s; 0 is the backbone's own (2.68, 3.69, 3.69, 3).
        width: factor on the network's channels; 1 is the published size.
        last_kernel: kernel of ``samplecnn``'s last convolution: 3 (CLMR) or 1 (thesis, table 3.1).
        attention_dim: size of ``transformer``'s tokens: 256 (teacher) or 64 (compact student).
        input_level: ``rms`` scales every input to one level, ``asis`` does not (thesis).
        level_dbfs: that level, RMS, dBFS.
    """

    backbone: BackboneName = "samplecnn"
    chunk_s: float = 0.0
    width: float = 1.0
    last_kernel: int = 3
    attention_dim: int = 256
    input_level: InputLevel = "rms"
    level_dbfs: float = -20.0


@dataclass(frozen=True)
class SystemConfig:
    """Where and how a run computes; changes no figure beyond rounding.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto`` times a step of each and takes the faster; ``float32`` or ``bfloat16``.
            A stage that is resumed keeps its own; stage 2 is always float32.
        compile: ``auto`` compiles the encoder on a GPU, ``on`` everywhere, ``off`` never.
        workers: decoding processes of a loader; 0 decodes in the training process.
        threads: CPU threads of the model; 0 shares the cores among the processes of the machine.
        shard_cache: local folder that keeps shards of object stores (s3://...), each fetched whole
            once; processes may share it. Empty: members are read by byte ranges.
        shard_cache_gb: size limit of that folder, GB; shards that find no room are read by byte
            ranges.
        rank_timeout_s: how long a rank waits for the others of torchrun before it ends with a
            message, s.
    """

    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    workers: int = 1
    threads: int = 0
    shard_cache: str = ""
    shard_cache_gb: float = 100.0
    rank_timeout_s: float = 600.0


@dataclass(frozen=True)
class StepConfig:
    """What one step of the optimizer is made of, in every stage.

    Attributes:
        accumulate: batches of each rank whose gradients make one step. As one batch N times as
            large, but for BatchNorm, which sees each batch by itself. Stage 1 takes its negatives
            from all batches of the step, at the price of a second forward pass.
        sync_batchnorm: ``on``: BatchNorm normalises by the batches of all ranks together (GPUs
            only; nothing to do in one process); ``off``: by each rank's own, and the running
            statistics are averaged.
    """

    accumulate: int = 1
    sync_batchnorm: Literal["off", "on"] = "off"


@dataclass(frozen=True)
class SnrConfig:
    """The SNRs that noisy crops are heard at.

    Attributes:
        low_db: lowest SNR, dB.
        high_db: highest SNR, dB.
        draw: ``integer`` draws whole dB, ``stored`` the rungs of the set.
        over: ``clip``: as stored; ``crop``: the crop itself has the SNR.
        relevel: what noisy crops of the target half at an SNR that is not stored are mixed from:
            ``rungs``, so that their clean member is never opened; ``clean`` makes it an ingredient
            (never heard); ``auto`` is ``clean`` for sets that store one rung only, else ``rungs``.
        e2h_db_per_epoch: step of the tagger's easy-to-hard schedule, dB an epoch; 0 turns it off.
        e2h_domain_db_per_epoch: that of the domain classifier, which begins at the other end; None
            is ten times the tagger's (thesis: 1/3 and 1/30).
        e2h_mode: ``expand`` widens the range, ``slide`` moves it.
    """

    low_db: float = -10.0
    high_db: float = 10.0
    draw: Literal["integer", "stored"] = "integer"
    over: Literal["clip", "crop"] = "clip"
    relevel: Literal["auto", "rungs", "clean"] = "auto"
    e2h_db_per_epoch: float = 0.0
    e2h_domain_db_per_epoch: float | None = None
    e2h_mode: Literal["expand", "slide"] = "expand"


@dataclass(frozen=True)
class EncoderConfig:
    """Stage 1: contrastive pretraining.

    Attributes:
        epochs: passes over the excerpts.
        batch_size: excerpts of a batch on one rank, two views each.
        lr: Adam's learning rate.
        temperature: of NT-Xent.
        augment: whether CLMR's augmentation chain is applied.
        cross_domain: views are the clean and the noisy version of one crop instead of two crops
            of one version.
        validations: validations over the stage; each may become the best checkpoint.
    """

    epochs: int = 1000
    batch_size: int = 48
    lr: float = 3e-4
    temperature: float = 0.5
    augment: bool = True
    cross_domain: bool = False
    validations: int = 20


@dataclass(frozen=True)
class DomainConfig:
    """Stage 2: the domain classifier on the frozen encoder.

    Attributes:
        epochs: passes over the source half.
        batch_size: examples of each half in a batch on one rank.
        lr: Adam's learning rate.
        hidden: sizes of the classifier's hidden layers.
        dropout: dropout after each hidden layer.
        batchnorm: whether each hidden layer is normalised; where the classifier is too strong for
            the encoder, dropout instead is advised.
        validations: validations over the stage.
    """

    epochs: int = 50
    batch_size: int = 48
    lr: float = 1e-4
    hidden: tuple[int, ...] = (100,)
    dropout: float = 0.0
    batchnorm: bool = True
    validations: int = 10


@dataclass(frozen=True)
class TagConfig:
    """Stage 3 and the comparisons: the tagger.

    Attributes:
        epochs: passes over the source half; all methods take the same number of steps.
        batch_size: examples of each half in a batch on one rank.
        lr: Adam's learning rate.
        encoder_lr_scale: factor on the encoder's learning rate.
        lambda_dom: weight of the domain loss on the encoder; None is 0.05 for ``reversed``, 0.5
            for ``confusion`` and ``entropy``.
        alpha: ``dann`` ramps the weight from 0 to 1 over the run, ``constant`` does not.
        gamma: steepness of that ramp.
        freeze: the domain classifier stays as stage 2 left it; else it learns on.
        domain_loss: ``reversed`` (thesis), ``confusion`` or ``entropy``.
        refresh_every: steps between refreshes of a frozen classifier; 0 never refreshes it.
        refresh_steps: steps of a refresh, in which the classifier learns beside.
        consistency: form of the clean/noisy consistency loss, or none.
        consistency_weight: its weight.
        labelled_noise: the tag loss is also taken on the noisy version of source examples.
        pairs: ``source`` takes consistency on the source half, ``all`` on both, without tags.
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


@dataclass(frozen=True)
class PoolingConfig:
    """Stage 4: how the scores of a file's chunks become the file's.

    Attributes:
        aggregate: ``attention`` also trains attention pooling on bags of chunks, behind the
            finished tagger, which stays as it is; ``mean`` trains nothing.
        epochs: passes over the bags.
        batch_size: bags of a step on one rank; a bag is all whole chunks of one member of a clip.
        lr: Adam's learning rate.
        hidden: size of the attention's hidden layer.
        limit: clips of each half whose bags are taken, the first N of the set; 0 takes all.
        validations: validations over the stage, beside one before the first step.
    """

    aggregate: Aggregation = "mean"
    epochs: int = 20
    batch_size: int = 48
    lr: float = 1e-3
    hidden: int = 128
    limit: int = 0
    validations: int = 20

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.aggregate == "attention"


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
    model: ModelConfig = ModelConfig()
    snr: SnrConfig = SnrConfig()
    step: StepConfig = StepConfig()
    encoder: EncoderConfig = EncoderConfig()
    domain: DomainConfig = DomainConfig()
    tagger: TagConfig = TagConfig()
    extra_target: bool = False
    encoder_init: Literal["pretrained", "random"] = "pretrained"
    student: StudentConfig = StudentConfig()
    teacher: TeacherConfig | None = None
    unlabelled: str = ""
    pooling: PoolingConfig = PoolingConfig()

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
