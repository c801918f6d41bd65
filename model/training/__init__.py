"""A training, however it is distributed: settings, role, order of images, state and record; no TensorFlow."""

from model.training.clocks import Clock
from model.training.config import Precision, TrainingConfig, add_arguments, from_arguments, setting_names
from model.training.disturbance import Disturbance, ServerWatch, add_others
from model.training.ending import meet_ending, note_complete
from model.training.gpu import GpuWatch, find_gpu
from model.training.heartbeat import PATIENCE_SECONDS, supervise
from model.training.loop import TrainingLoop, identify
from model.training.record import FINISHED_FILE, begin, write_replica_record
from model.training.role import STRATEGIES, Role, Strategy, parse_tf_config
from model.training.signs import Signs, find_signs_folder, name_life
from model.training.state import Values, Vector, hash_weights
from model.training.task import OnStep, StepTiming, Task, Trainer, check_loss

__all__ = [
    "FINISHED_FILE",
    "PATIENCE_SECONDS",
    "STRATEGIES",
    "Clock",
    "Disturbance",
    "GpuWatch",
    "OnStep",
    "Precision",
    "Role",
    "ServerWatch",
    "Signs",
    "StepTiming",
    "Strategy",
    "Task",
    "Trainer",
    "TrainingConfig",
    "TrainingLoop",
    "Values",
    "Vector",
    "add_arguments",
    "add_others",
    "begin",
    "check_loss",
    "find_gpu",
    "find_signs_folder",
    "from_arguments",
    "hash_weights",
    "identify",
    "meet_ending",
    "name_life",
    "note_complete",
    "parse_tf_config",
    "setting_names",
    "supervise",
    "write_replica_record",
]
