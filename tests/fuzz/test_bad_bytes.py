"""Bytes that nobody meant: each is refused in words, whatever it is. `make fuzz` tries many more of them."""

import contextlib
import copy
import json
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison.compare import compare
from comparison.programs import ProgramTrial, compare_programs, format_program_trials, parse_program_trial
from comparison.records import (
    RecordError,
    TrialRecord,
    assemble_record,
    format_records,
    load_json,
    parse_record,
    read_run_info,
)
from components.planning import Parameters, plan_run, read_form
from model.errors import ConfigError
from model.training.role import parse_tf_config
from tests.comparison.programs.program_factory import make_program_info, make_program_run
from tests.comparison.record_factory import make_parts, make_run
from tests.fuzz.wild import altered, as_text, few, fuzz, list_places
from tfjob.errors import SpecError
from tfjob.job import read_job
from tfjob.own import read_own_job
from tfjob.settings import describe_settings_here, parse_job_settings, read_node_labels

CLUSTER = {
    "cluster": {"chief": ["a:1"], "worker": ["a:2", "b:3"], "ps": ["c:4"]},
    "task": {"type": "worker", "index": 1},
}
JOB = {
    "queue_name": "team-a",
    "service_account": "a",
    "node_selector": {"disk": "fast"},
    "tolerations": ["gpu=yes:NoSchedule", {"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    "labels": {"team": "a"},
    "env": {"A": 1, "B": {"secretKeyRef": {"name": "s", "key": "k"}}},
    "image_pull_secrets": ["a"],
    "extended_resources": {"rdma/hca": 1},
    "scheduling_policy": {"minAvailable": 1},
}
_CONTAINER = {
    "name": "tensorflow",
    "image": "a:1",
    "command": ["python", "{seed}"],
    "args": ["--n={workers}"],
    "env": [{"name": "A", "value": "{trial}"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    "resources": {"limits": {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": 1}},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    "ports": [{"name": "tfjob-port", "containerPort": 2222}],
}
_POD = {
    "containers": [{"name": "log", "image": "b:1"}, _CONTAINER],
    "initContainers": [{"name": "wait", "image": "c:1"}],
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}],
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}},
    "terminationGracePeriodSeconds": 30,
    "hostNetwork": True,
}
OWN_JOB = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "TFJob",
    "metadata": {"name": "a", "namespace": "b", "labels": {"c": "d"}, "annotations": {"e": "f"}},
    "spec": {
        "runPolicy": {"backoffLimit": 3, "suspend": True, "schedulingPolicy": {"minAvailable": 2}},
        "successPolicy": "AllWorkers",
        "enableDynamicWorker": True,
        "tfReplicaSpecs": {"worker": {"replicas": 2, "restartPolicy": "OnFailure", "template": {"spec": _POD}}},
    },
}


@fuzz
@given(as_text(CLUSTER))
def test_a_tf_config_is_a_role_or_refused(text: str) -> None:
    try:
        parse_tf_config(text)
    except ConfigError:
        return


@fuzz
@given(as_text(JOB))
def test_settings_of_jobs_are_overlays_or_refused(text: str) -> None:
    try:
        json.dumps([vars(overlay) for overlay in parse_job_settings(text)], default=str)
        read_node_labels(text)
        describe_settings_here(text)
    except SpecError:
        return


@fuzz
@given(as_text(OWN_JOB))
def test_a_persons_tfjob_is_one_that_can_be_built_or_refused(text: str) -> None:
    try:
        job = read_own_job(text)
        assert isinstance(job.doubts, list)
        assert isinstance(job.describe_here(), list)
        values = dict.fromkeys(job.placeholders, "1")
        read_job(job.build(name="trial", namespace="runs", workers=2, num_ps=0, values=values, placement="spread"))
    except SpecError:
        return


@fuzz
@given(as_text({"seed": 1, "job": JOB, "model_arguments": {"width": 4}, "bigger_nodes": None, "deadline_minutes": 3}))
def test_the_forms_settings_are_parameters_or_refused(text: str) -> None:
    try:
        plan_run("1", read_form({"settings": text}))
    except (ConfigError, SpecError):
        return


def make_record() -> dict[str, Any]:
    (line,) = format_records(make_run()[:1]).splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


def read_record(text: str) -> TrialRecord | None:
    try:
        return parse_record(load_json(text, "a line"), "a line")
    except RecordError:
        return None


@fuzz
@given(as_text(make_record()))
def test_a_record_is_read_and_written_again_or_refused(text: str) -> None:
    record = read_record(text)
    if record is not None:
        assert parse_record(json.loads(format_records([record]))) == record
        format_records([record]).encode()


@fuzz
@given(st.data())
def test_a_trials_files_are_a_record_or_refused(data: st.DataObject) -> None:
    parts = list(make_parts("all-reduce-2w", 1))
    number = data.draw(st.integers(0, 2))
    parts[number] = data.draw(altered(parts[number]))
    try:
        training, launch, evaluation = [load_json(json.dumps(part), "a file") for part in parts]
        assemble_record(training, launch, evaluation)
    except RecordError:
        return


PLAN = {"schema_version": 1, "run_id": "1", "started_at": 1.0, "parameters": {"trials": 3}, "configurations": [{}]}


@fuzz
@given(as_text(PLAN))
def test_a_plan_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.json")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            read_run_info(path)
        except RecordError:
            return


def compare_with(tree: Any, number: int) -> None:
    """Compares a run of which one record is another; one that is refused is compared with nothing."""
    record = read_record(json.dumps(tree))
    if record is None:
        return
    records = [*make_run()]
    plan = plan_run("1", Parameters())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.suppress(RecordError):
        warnings.simplefilter("ignore")
        plan.write(Path(folder, "run.json"))
        info = read_run_info(Path(folder, "run.json"))
        compare([*records[:number], record, *records[number + 1 :]], info, Path(folder))


def empty_each(tree: Any) -> list[Any]:
    """Returns a tree once for each of its lists and objects, which is empty in it."""
    emptied = []
    for *way, last in filter(None, list_places(tree)):
        other = copy.deepcopy(tree)
        holder = other
        for key in way:
            holder = holder[key]
        if holder[last] and isinstance(holder[last], list | dict):
            holder[last] = type(holder[last])()
            emptied.append(other)
    return emptied


@few
@given(st.data())
def test_records_that_are_read_are_compared_or_refused(data: st.DataObject) -> None:
    records = list(make_run())
    number = data.draw(st.integers(0, len(records) - 1))
    (line,) = format_records([records[number]]).splitlines()
    compare_with(data.draw(altered(json.loads(line))), number)


def test_a_record_with_anything_empty_is_compared_or_refused() -> None:
    for tree in empty_each(make_record()):
        compare_with(tree, 0)


def read_program(text: str) -> ProgramTrial | None:
    try:
        return parse_program_trial(load_json(text, "a line"), "a line")
    except RecordError:
        return None


PROGRAM_RUN = make_program_run({1: 60.0, 2: 33.0}, rounds=2)


@fuzz
@given(as_text(asdict(PROGRAM_RUN[0])))
def test_a_programs_record_is_read_and_written_again_or_refused(text: str) -> None:
    record = read_program(text)
    if record is not None:
        assert parse_program_trial(json.loads(format_program_trials([record]))) == record
        format_program_trials([record]).encode()


def compare_program_with(tree: Any, number: int) -> None:
    record = read_program(json.dumps(tree))
    if record is None:
        return
    records = [*PROGRAM_RUN[:number], record, *PROGRAM_RUN[number + 1 :]]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), contextlib.suppress(RecordError):
        warnings.simplefilter("ignore")
        compare_programs(records, make_program_info(), Path(folder))


@few
@given(st.data())
def test_a_programs_records_that_are_read_are_compared_or_refused(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(PROGRAM_RUN) - 1))
    compare_program_with(data.draw(altered(asdict(PROGRAM_RUN[number]))), number)


def test_a_programs_record_with_anything_empty_is_compared_or_refused() -> None:
    for tree in empty_each(asdict(PROGRAM_RUN[0])):
        compare_program_with(tree, 0)


@pytest.mark.parametrize(("name", "value"), [("cores", "2"), ("memory_bytes", [1]), ("cpu_model", 7), ("cores", True)])
def test_a_host_that_is_calculated_with_is_of_its_types(name: str, value: Any) -> None:
    tree = make_record()
    tree["host"][name] = value
    with pytest.raises(RecordError, match=rf"host\.{name} of single must be of type (int|str), or null"):
        parse_record(tree, "a line")
