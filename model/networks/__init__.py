"""Models by name or import path. Importing this does not import TensorFlow."""

from model.networks.registry import (
    build_model,
    check_model_arguments,
    check_model_input,
    check_model_name,
    find_builder,
)

__all__ = ["build_model", "check_model_arguments", "check_model_input", "check_model_name", "find_builder"]
