"""A person's own TFJob, and the jobs of a comparison that are made of it."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Literal

from tfjob.errors import SpecError
from tfjob.job import FOREIGN_ANNOTATION, LONE_CONFIG_ANNOTATION, Manifest, parse_cpus
from tfjob.own import here
from tfjob.own.checks import Json
from tfjob.own.documents import read_documents
from tfjob.own.doubts import JOB_LABELS, find_doubts, rename_selected, runs_the_same
from tfjob.own.placeholders import BATCHES, fill, find_placeholders
from tfjob.own.reading import Found, find_container, find_job, make_job, replace_command, visit_texts
from tfjob.settings import Overlay, lay_over
from tfjob.spec import CHIEFS, DEFAULT_PORT, GPU_RESOURCE, PORT_NAME, ReplicaType, check_manifest

PodPlacement = Literal["any", "together", "spread"]
# As long as a launcher waits on this machine between asking a process to end and killing it.
GRACE_SECONDS = 10
TTL_SECONDS = 86400
_PATH_VARIABLE, _ADDED_PATH_VARIABLE = "PYTHONPATH", "TFJOB_SPEEDUP_PYTHONPATH"
# Puts a folder in front of what the image, or the manifest, has there; the program takes the shell's place.
_PREPEND_PATH = f'export {_PATH_VARIABLE}="${_ADDED_PATH_VARIABLE}${{{_PATH_VARIABLE}:+:${_PATH_VARIABLE}}}"; exec "$@"'
_NODE = "kubernetes.io/hostname"
# What Python prints is timed by when it comes out, so it must not wait for more.
_DEFAULT_ENV = {"PYTHONUNBUFFERED": "1"}


def read_own_job(text: str, command: str = "") -> "OwnJob":
    """Returns the TFJob that a person wrote.

    Args:
        text: YAML or JSON, of one TFJob and perhaps other documents; empty: a job of workers in this project's image.
        command: What the container that trains runs in place of its own command; must be given where `text` is empty.

    Raises:
        SpecError: It is no TFJob, or none that the operator could run; the message names the field by its path.
    """
    if not text.strip():
        return OwnJob(make_job(command))
    found = find_job(read_documents(text))
    if command.strip():
        replace_command(found, command)
    return OwnJob(found)


@dataclass(frozen=True)
class OwnJob:
    """A person's TFJob, of which each configuration's job is made.

    Args:
        found: The manifest as it was read.
    """

    found: Found

    @cached_property
    def doubts(self) -> list[str]:
        """What a person should know before it is run with other numbers of workers, a sentence each."""
        return find_doubts(self.found)

    @property
    def num_workers(self) -> int:
        """The Workers that the manifest asks for; 0 in a job of a Chief alone."""
        return self._count("Worker")

    @property
    def num_ps(self) -> int:
        """The parameter servers that the manifest asks for."""
        return self._count("PS")

    @property
    def has_chief(self) -> bool:
        """Whether it has a Chief or, as it was once called, a Master."""
        return self._chief is not None

    @property
    def placeholders(self) -> frozenset[str]:
        """The placeholders that it uses."""
        return find_placeholders(text for _, text in visit_texts(self._replicas))

    @property
    def image(self) -> str | None:
        """The image of what trains; None where it is still to be said."""
        return find_container(self._trainer).get("image")

    @property
    def cpus_per_replica(self) -> float | None:
        """The CPU limit of what trains; None for no limit."""
        cpus = self._limits.get("cpu")
        return None if cpus is None else parse_cpus(str(cpus))

    @property
    def memory_per_replica(self) -> str | None:
        """The memory limit of what trains; None for no limit."""
        memory = self._limits.get("memory")
        return None if memory is None else str(memory)

    @property
    def gpus_per_replica(self) -> int:
        """The GPUs of what trains."""
        return int(self._limits.get(GPU_RESOURCE, 0))

    def describe_here(self) -> list[str]:
        """Returns what of it has no counterpart among the processes of this machine, a sentence each."""
        return here.describe(self._replicas)

    def check_here(self, said_by: str = "") -> None:
        """Checks that it can run as processes of this machine.

        Args:
            said_by: The parameter that has the command of all replicas; empty: the manifest has it.

        Raises:
            SpecError: A replica has no command, or there is no such program.
        """
        here.check(self._replicas, said_by)

    def check_batch(self, workers: Iterable[int], global_batch_size: int | None) -> None:
        """Checks that the batch, where it is filled in, can be had with all numbers of workers.

        Args:
            workers: The numbers of workers that are compared.
            global_batch_size: The batch of all together; None where it is not said.

        Raises:
            SpecError: It is not said, or the workers do not divide it.
        """
        used = [name for name in BATCHES if name in self.placeholders]
        if used and global_batch_size is None:
            raise SpecError(f"The manifest has {{{used[0]}}}, which takes a global batch size. Received none")
        for count in workers:
            if "per_replica_batch_size" in used and global_batch_size is not None and global_batch_size % count:
                raise SpecError(
                    f"The global batch size must be divisible by each number of workers, for the manifest has "
                    f"{{per_replica_batch_size}}. Received: {global_batch_size} and {count}"
                )

    def build(
        self,
        *,
        name: str,
        namespace: str,
        workers: int,
        num_ps: int,
        values: Mapping[str, str],
        chief_trains: bool = False,
        deadline_seconds: int = 3600,
        overlays: Iterable[Overlay] = (),
        placement: PodPlacement = "any",
        env: Mapping[str, str] | None = None,
        lone_tf_config: bool = False,
    ) -> Manifest:
        """Returns the TFJob of one trial of one configuration.

        Numbers of replicas, name, namespace, policies and placeholders are set; a failed replica ends the trial, since
        its restart policy becomes Never. Python's output is not buffered, unless the manifest has a word on that. All
        else of the manifest stays.

        Args:
            name: The trial's job.
            namespace: Where it runs.
            workers: Replicas that train. One without servers is the single node: a job of one replica.
            num_ps: Parameter servers.
            values: A value for each placeholder.
            chief_trains: Whether the Chief is one of the workers.
            deadline_seconds: How long it may take.
            overlays: What is laid over it: labels, the run's volume, settings.
            placement: `together`: all pods on one node; `spread`: each on another.
            env: Variables of every container that trains. `PYTHONPATH` goes in front of what is there.
            lone_tf_config: Gives the single node a TF_CONFIG, too, of a cluster of one.

        Raises:
            SpecError: There is no such job to be made of it.
        """
        filled = dict(values) | {"workers": str(workers), "num_ps": str(num_ps)}
        replicas = self._choose(workers, num_ps, chief_trains=chief_trains)
        missing = find_placeholders(text for _, text in visit_texts(replicas)) - filled.keys()
        if missing:
            raise SpecError(f"The manifest has {{{min(missing)}}}, for which there is no value here")
        is_single = sum(replica["replicas"] for replica in replicas.values()) == 1
        annotations = {FOREIGN_ANNOTATION: "true"}
        variables = dict(env or {})
        if lone_tf_config and is_single:
            (kind,) = replicas
            annotations[LONE_CONFIG_ANNOTATION] = "true"
            variables["TF_CONFIG"] = _lone_config(kind, find_container(replicas[kind]), name, namespace)
        for replica in replicas.values():
            replica["restartPolicy"] = "Never"
            replica["template"] = self._fill_template(replica["template"], filled, variables, name, placement)
        metadata = self.found.metadata
        job: Json = {
            "apiVersion": "kubeflow.org/v1",
            "kind": "TFJob",
            "metadata": {
                **metadata,
                "annotations": {**metadata.get("annotations", {}), **annotations},
                "name": name,
                "namespace": namespace,
            },
            "spec": {
                **self.found.spec,
                "successPolicy": self.found.spec.get("successPolicy", ""),
                "runPolicy": self._set_policies(replicas, deadline_seconds),
                "tfReplicaSpecs": replicas,
            },
        }
        manifest: Json = reduce(lay_over, overlays, job)
        check_manifest(manifest)
        return manifest

    @property
    def _replicas(self) -> Json:
        replicas: Json = self.found.spec["tfReplicaSpecs"]
        return replicas

    @property
    def _chief(self) -> ReplicaType | None:
        return next((kind for kind in CHIEFS if kind in self._replicas), None)

    @property
    def _trainer(self) -> Json:
        trainer: Json = self._replicas.get("Worker") or self._replicas[str(self._chief)]
        return trainer

    @property
    def _limits(self) -> Mapping[str, Any]:
        limits: Mapping[str, Any] = find_container(self._trainer).get("resources", {}).get("limits", {})
        return limits

    def _count(self, kind: ReplicaType) -> int:
        return int(self._replicas[kind]["replicas"]) if kind in self._replicas else 0

    def _choose(self, workers: int, num_ps: int, *, chief_trains: bool) -> Json:
        """Returns the replicas of a configuration by type, copies."""
        path = "spec.tfReplicaSpecs"
        if chief_trains and self._chief is None:
            raise SpecError(f"{path} must have a Chief or Master where the chief trains. Received: {[*self._replicas]}")
        if num_ps and "PS" not in self._replicas:
            raise SpecError(f"{path} must have a PS where there are servers. Received: {[*self._replicas]}")
        if workers == 1 and not num_ps:
            return self._choose_single(chief_trains=chief_trains)
        counts: dict[str, int] = {kind: replica["replicas"] for kind, replica in self._replicas.items()}
        counts |= {"Worker": workers - chief_trains, "PS": num_ps}
        if counts["Worker"] and "Worker" not in self._replicas:
            raise SpecError(f"{path} must have a Worker where there are several. Received: {[*self._replicas]}")
        return {
            kind: {**_copy(replica), "replicas": counts[kind]}
            for kind, replica in self._replicas.items()
            if counts[kind]
        }

    def _choose_single(self, *, chief_trains: bool) -> Json:
        """Returns the one replica of the single node.

        A Worker does what every worker does. Where the Chief runs another command, the Worker's may be no training at
        all but a server: then it is the Chief's, with what a worker may use.
        """
        chief = self._chief
        if chief is None:
            return {"Worker": {**_copy(self._replicas["Worker"]), "replicas": 1}}
        if chief_trains or "Worker" not in self._replicas:
            return {chief: {**_copy(self._replicas[chief]), "replicas": 1}}
        worker = self._replicas["Worker"]
        if runs_the_same(self._replicas[chief], worker):
            return {"Worker": {**_copy(worker), "replicas": 1}}
        single = {**_copy(self._replicas[chief]), "replicas": 1}
        find_container(single)["resources"] = _copy(find_container(worker).get("resources", {}))
        return {chief: single}

    def _set_policies(self, replicas: Json, deadline_seconds: int) -> Json:
        policy = _copy(self.found.spec.get("runPolicy", {}))
        scheduling = policy.get("schedulingPolicy")
        before = sum(replica["replicas"] for replica in self._replicas.values())
        if isinstance(scheduling, dict) and scheduling.get("minAvailable") == before:
            scheduling["minAvailable"] = sum(replica["replicas"] for replica in replicas.values())
        return {
            "backoffLimit": 6,
            **policy,
            "cleanPodPolicy": "Running",
            "activeDeadlineSeconds": math.ceil(deadline_seconds),
            "ttlSecondsAfterFinished": TTL_SECONDS,
        }

    def _fill_template(
        self, template: Json, values: Mapping[str, str], env: Mapping[str, str], name: str, placement: PodPlacement
    ) -> Json:
        pod = template["spec"]
        for container in [*(pod.get("initContainers", ())), *pod["containers"]]:
            for field in ("command", "args"):
                if field in container:
                    container[field] = [fill(text, values) for text in container[field]]
            for variable in container.get("env", ()):
                if isinstance(variable.get("value"), str):
                    variable["value"] = fill(variable["value"], values)
        _add_env(find_container({"template": template}), env)
        pod["terminationGracePeriodSeconds"] = min(
            GRACE_SECONDS, pod.get("terminationGracePeriodSeconds", GRACE_SECONDS)
        )
        for field in ("affinity", "topologySpreadConstraints"):
            if self.found.name and field in pod:
                pod[field] = rename_selected(pod[field], self.found.name, name)
        if placement != "any":
            _place(pod, "podAffinity" if placement == "together" else "podAntiAffinity", name)
        return template


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _add_env(container: Json, env: Mapping[str, str]) -> None:
    """Gives a container further variables; those of the same name go, but for PYTHONPATH, which they precede."""
    added = {name: value for name, value in env.items() if name != _PATH_VARIABLE}
    kept = [variable for variable in container.get("env", ()) if variable["name"] not in added]
    for name in _DEFAULT_ENV.keys() - {variable["name"] for variable in kept}:
        added.setdefault(name, _DEFAULT_ENV[name])
    if path := env.get(_PATH_VARIABLE):
        literal = next((item for item in kept if item["name"] == _PATH_VARIABLE and "valueFrom" not in item), None)
        if literal is not None:
            literal["value"] = ":".join(filter(None, (path, literal.get("value", ""))))
        elif container.get("command"):  # what the image has there is not known, and a variable would hide it
            added[_ADDED_PATH_VARIABLE] = path
            container["command"] = ["/bin/sh", "-c", _PREPEND_PATH, "sh", *container["command"]]
    container["env"] = [*kept, *({"name": name, "value": value} for name, value in added.items())]


def _place(pod: Json, kind: str, name: str) -> None:
    """Lets a pod go where the job's others are, or where none of them is."""
    terms = pod.setdefault("affinity", {}).setdefault(kind, {})
    rule = "requiredDuringSchedulingIgnoredDuringExecution"
    term = {"labelSelector": {"matchLabels": {JOB_LABELS[0]: name}}, "topologyKey": _NODE}
    terms[rule] = [*terms.get(rule, ()), term]


def _lone_config(kind: str, container: Json, name: str, namespace: str) -> str:
    """Returns the TF_CONFIG of a cluster of one, as the operator would make it."""
    ports = {port.get("name"): port.get("containerPort") for port in container.get("ports", ())}
    address = f"{name}-{kind.lower()}-0.{namespace}.svc:{ports.get(PORT_NAME, DEFAULT_PORT)}"
    config = {
        "cluster": {kind.lower(): [address]},
        "task": {"type": kind.lower(), "index": 0},
        "environment": "cloud",
    }
    return json.dumps(config)
