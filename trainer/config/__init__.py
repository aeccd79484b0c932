"""The configuration of every stage: the only home of the trainer's defaults (METHOD.md section 8).

One frozen dataclass per stage, saved as JSON beside the weights. ``trainer.presets`` lays values
over the defaults.
"""

from trainer.config.model import BackboneName, InputLevel, ModelConfig
from trainer.config.run import METHODS, Method, TrainConfig
from trainer.config.snr import SnrConfig
from trainer.config.stages import Aggregation, DomainConfig, EncoderConfig, PoolingConfig
from trainer.config.system import StepConfig, SystemConfig
from trainer.config.tagger import StudentConfig, TagConfig, TeacherConfig

__all__ = [
    "METHODS",
    "Aggregation",
    "BackboneName",
    "DomainConfig",
    "EncoderConfig",
    "InputLevel",
    "Method",
    "ModelConfig",
    "PoolingConfig",
    "SnrConfig",
    "StepConfig",
    "StudentConfig",
    "SystemConfig",
    "TagConfig",
    "TeacherConfig",
    "TrainConfig",
]
