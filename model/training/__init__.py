"""A training, however it is distributed: settings, role, order of images, state and record; no TensorFlow."""

from model.training.config import TrainingConfig, add_arguments, from_arguments, setting_names
from model.training.heartbeat import PATIENCE_SECONDS, supervise
from model.training.record import FINISHED_FILE, StepParts, describe_training, finish, write_replica_record
from model.training.role import STRATEGIES, Role, Strategy, parse_tf_config
from model.training.state import State, Vector, hash_weights, load_newest_checkpoint, save_checkpoint
from model.training.task import Clock, OnStep, StepTiming, Task, Trainer, TrainingDiverged, check_loss

__all__ = [
    "FINISHED_FILE",
    "PATIENCE_SECONDS",
    "STRATEGIES",
    "Clock",
    "OnStep",
    "Role",
    "State",
    "StepParts",
    "StepTiming",
    "Strategy",
    "Task",
    "Trainer",
    "TrainingConfig",
    "TrainingDiverged",
    "Vector",
    "add_arguments",
    "check_loss",
    "describe_training",
    "finish",
    "from_arguments",
    "hash_weights",
    "load_newest_checkpoint",
    "parse_tf_config",
    "save_checkpoint",
    "setting_names",
    "supervise",
    "write_replica_record",
]
