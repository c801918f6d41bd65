"""What the submitting machine checks before a run is started: the form of the parameters, and what may be forgotten.

Data and models may be in the image alone: whether they are there, the first step finds out.
"""

import os
from dataclasses import replace

from components.planning import (
    CPUS_OF_A_STEP,
    MEBIBYTES_OF_A_STEP,
    Parameters,
    choose_program,
    count_iterations,
    describe_idle,
    find_secrets,
    plan_run,
)

_NOT_YET_NAMED = "run"
# A node takes 110 pods unless it is told otherwise.
_MANY_WAITING_PODS = 40
# What stands for data and a model that need not be on this machine: both are there everywhere.
_ANY_DATASET, _ANY_MODULE = "mnist", "builtins"


def check_form(parameters: Parameters) -> None:
    """Checks parameters as the first step will, but for whether files and modules that they name are there.

    Raises:
        ValueError: One cannot be.
    """
    dataset, model = parameters.dataset, parameters.model
    if is_path(dataset):
        dataset = _ANY_DATASET
    if is_import_path(model):
        model = f"{_ANY_MODULE}:{model.partition(':')[2]}"
    plan_run(_NOT_YET_NAMED, replace(parameters, dataset=dataset, model=model))


def list_doubts(parameters: Parameters, *, is_image_given: bool) -> list[str]:
    """Returns what a person should know before a run with these parameters is started."""
    doubts = [*choose_program(parameters).list_doubts()]
    if idle := describe_idle(parameters, is_in_cluster=True):
        doubts.append(f"{idle}.")
    if not is_image_given and "/" not in parameters.image:  # `make IMAGE=…` may have named it
        doubts.append(
            f"no --image is given, so every pod will run {parameters.image}, which no registry has: it must have been "
            "loaded on the cluster's nodes. Else name yours: --image registry.example/team/"
            f"{parameters.image.rpartition('/')[2]}."
        )
    if (waiting := count_iterations(parameters.trials)) > _MANY_WAITING_PODS:
        cpus, gibibytes = waiting * CPUS_OF_A_STEP, waiting * MEBIBYTES_OF_A_STEP / 1024
        doubts.append(
            f"with {parameters.trials:,} trials the run begins with {waiting:,} pods at once, of which all but one "
            f"wait for their turn: {cpus:.0f} CPUs and {gibibytes:.0f} GiB of memory are set aside for them "
            f"({CPUS_OF_A_STEP} and {MEBIBYTES_OF_A_STEP} MiB each), and of the pods that a quota allows and a node "
            "takes (110, as a rule) each is one. Where they do not all find room, the run breaks off. Several runs of "
            "fewer trials, with other seeds, need less at once."
        )
    if secrets := find_secrets(parameters):
        doubts.append(
            f"what is secret in {' and '.join(secrets)} is kept by the server, whose dashboard shows it to all who see "
            "the run; the results that are fetched do not. A variable can have a Secret of the cluster as its source "
            '({"env": {"TOKEN": {"secret_key_ref": {"name": …, "key": …}}}}).'
        )
    if is_path(parameters.dataset):
        doubts.append(f"{parameters.dataset} must be in the image: the first step looks for it there, not here.")
    if is_import_path(parameters.model):
        doubts.append(f"{parameters.model} must be in the image: the first step looks for it there, not here.")
    return doubts


def is_path(dataset: str) -> bool:
    """Returns whether a data set is named by the path of a file."""
    return "://" not in dataset and (dataset.endswith(".npz") or os.sep in dataset)


def is_import_path(model: str) -> bool:
    """Returns whether a model is named by an import path whose form is right."""
    module, _, function = model.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), function))
