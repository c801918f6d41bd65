"""What of a person's TFJob this machine has no counterpart for, and what it cannot run."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfjob.errors import SpecError
from tfjob.own.reading import find_container
from tfjob.spec import CONTAINER_NAME, GPU_RESOURCE

_IDLE_POD_FIELDS = ("affinity", "hostNetwork", "nodeSelector", "serviceAccountName", "tolerations")
_KEPT_LIMITS = {"cpu", GPU_RESOURCE}
_IDLE_FIELDS = ("workingDir", "envFrom", "lifecycle", "livenessProbe", "startupProbe")


def describe(replicas: Mapping[str, Any]) -> list[str]:
    """Returns what has no effect on the processes of this machine, a sentence each."""
    return list(dict.fromkeys(line for replica in replicas.values() for line in _describe(replica["template"]["spec"])))


def _describe(pod: Mapping[str, Any]) -> Iterator[str]:
    container = find_container({"template": {"spec": pod}})
    if image := container.get("image"):
        yield f"image {image}: the command runs with the programs of this machine"
    for mount in container.get("volumeMounts", ()):
        yield f"volume {mount['name']}: not mounted, {mount['mountPath']} is this machine's own path"
    for name in sorted(container.get("resources", {}).get("limits", {}).keys() - _KEPT_LIMITS):
        yield f"limit of {name}: not kept"
    beside = [other for other in pod["containers"] if other["name"] != CONTAINER_NAME]
    for other in (*pod.get("initContainers", ()), *beside):
        yield f"container {other['name']}: not run"
    for variable in container.get("env", ()):
        if source := variable.get("valueFrom"):
            yield f"variable {variable['name']}: has no value, it comes from {', '.join(source)}"
    idle = [name for name in _IDLE_FIELDS if container.get(name)] + [name for name in _IDLE_POD_FIELDS if pod.get(name)]
    yield from (f"{name}: no effect" for name in idle)


def check(replicas: Mapping[str, Any], said_by: str = "") -> None:
    """Checks that each replica's command can be run here.

    Args:
        replicas: What the job asks for, by kind.
        said_by: The parameter that has the command of all of them; empty: the manifest itself has it.

    Raises:
        SpecError: It cannot.
    """
    for kind, replica in replicas.items():
        containers = replica["template"]["spec"]["containers"]
        index = next(index for index, container in enumerate(containers) if container["name"] == CONTAINER_NAME)
        path = said_by or f"spec.tfReplicaSpecs.{kind}.template.spec.containers[{index}].command"
        command = containers[index].get("command")
        if not command:
            raise SpecError(
                f"{path} must name a program: the image's own entry point is not known on this machine. Say it, or run "
                "on a cluster"
            )
        program = command[0]
        if "$" not in program and "{" not in program and shutil.which(program) is None:
            raise SpecError(
                f"{path} must name a program of this machine. Received: {program!r}, {_describe_search(program)}"
            )


def _describe_search(program: str) -> str:
    """Returns where a program was looked for that cannot be run, what is there, and what helps."""
    path = Path(program)
    if os.sep not in program:
        told = f"which none of the folders in PATH has ({os.environ.get('PATH') or os.defpath})"
        if path.is_file():
            return f"{told}. The file of that name in {Path.cwd()} is started by ./{program}, or by its interpreter"
        return f"{told}. Install it, give its whole path, or run on a cluster whose image has it"
    if path.is_dir():
        return f"which is a folder: name the program in it ({path.absolute()})"
    if path.exists():
        return f"which is no file that may be run: start it by its interpreter, or chmod +x {program}"
    return f"and there is no such file ({path.absolute()}). Correct the path, or run on a cluster whose image has it"
