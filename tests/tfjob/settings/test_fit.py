import json
import re
from pathlib import Path
from typing import Any

import kubeflow.training
import kubernetes.client
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.tfjob.operator_schema import make_validator, read_crd
from tests.tfjob.scripted_jobs import make_job
from tfjob.errors import SpecError
from tfjob.settings import describe_settings_here, parse_job_settings
from tfjob.settings.fit import fit_model

SCHEMA: Draft202012Validator = make_validator(read_crd())
Json = dict[str, Any]

WORDS = st.sampled_from(["In", "Exists", "NoSchedule", "team", "kubernetes.io/hostname", "true", "7", "2Gi", "a b", ""])
SCALARS = WORDS | st.integers() | st.floats() | st.booleans() | st.none()
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2))
NAMES = st.sampled_from(["team", "example.com/team", "OMP_NUM_THREADS", "rdma/hca", "hugepages-2Mi", "cpu", "a b"])


def typed(kind: str) -> st.SearchStrategy[Any]:
    """Returns values like those of a model's field: mostly of its type, sometimes of another one."""
    if found := re.fullmatch(r"list\[(.+)\]", kind):
        return st.lists(typed(found[1]), max_size=2)
    if kind.startswith("dict("):
        return st.dictionaries(NAMES, SCALARS, max_size=2)
    scalars = {"str": WORDS | SCALARS, "int": st.integers(-9, 9) | SCALARS, "bool": st.booleans() | SCALARS}
    return scalars[kind] if kind in scalars else typed_object(kind)


def typed_object(kind: str) -> st.SearchStrategy[Json]:
    model = getattr(kubernetes.client, kind, None) or getattr(kubeflow.training, kind)
    fields = {
        name: typed(item_kind)
        for snake, item_kind in model.openapi_types.items()
        for name in {snake, model.attribute_map[snake]}
        if item_kind != "dict(str, Quantity)"
    }
    return st.fixed_dictionaries({}, optional=fields) | st.just({})


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "queue_name": ANY,
        "priority_class_name": ANY,
        "service_account": ANY | st.sampled_from(["team", "team.trainer"]),
        "scheduling_policy": typed_object("KubeflowOrgV1SchedulingPolicy") | ANY,
        "node_selector": st.dictionaries(NAMES, SCALARS) | ANY,
        "tolerations": st.lists(WORDS | typed_object("V1Toleration")) | ANY,
        "affinity": typed_object("V1Affinity") | ANY,
        "labels": st.dictionaries(NAMES, SCALARS) | ANY,
        "annotations": st.dictionaries(NAMES, SCALARS) | ANY,
        "env": st.dictionaries(NAMES, SCALARS | typed_object("V1EnvVarSource")) | ANY,
        "image_pull_secrets": st.lists(WORDS | st.fixed_dictionaries({"name": WORDS})) | ANY,
        "extended_resources": st.dictionaries(NAMES, SCALARS) | ANY,
    },
)


def list_errors(settings: Json) -> list[str]:
    manifest = make_job("pass", Path("/shared"), overlays=parse_job_settings(json.dumps(settings)))
    return [f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(manifest)]


@pytest.mark.parametrize("name", SETTINGS.wrapped_strategy.optional)  # type: ignore[attr-defined]
def test_every_value_that_is_accepted_fits_the_operators_schema(name: str) -> None:
    @given(SETTINGS.wrapped_strategy.optional[name])  # type: ignore[attr-defined]
    def check(value: Any) -> None:
        try:
            errors = list_errors({name: value})
        except SpecError as error:
            event("refused")
            errors = [] if re.search(f"job_settings.{name}|must not be given", str(error)) else [str(error)]
        assert errors == []

    check()


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        ({"env": {"NCCL_NSOCKS": 4}}, ["containers", 0, "env", -1], {"name": "NCCL_NSOCKS", "value": "4"}),
        ({"env": {"DEBUG": True}}, ["containers", 0, "env", -1], {"name": "DEBUG", "value": "true"}),
        (
            {"env": {"TOKEN": {"secret_key_ref": {"name": "s", "key": "k"}}}},
            ["containers", 0, "env", -1],
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ),
        ({"node_selector": {"generation": 5}}, ["nodeSelector"], {"generation": "5"}),
        ({"image_pull_secrets": [{"name": "regcred"}, "regcred"]}, ["imagePullSecrets"], [{"name": "regcred"}]),
        (
            {"tolerations": ["spot", "pool=gpu:NoSchedule"]},
            ["tolerations"],
            [
                {"key": "spot", "operator": "Exists"},
                {"key": "pool", "value": "gpu", "effect": "NoSchedule", "operator": "Equal"},
            ],
        ),
        (
            {"tolerations": [{"key": "spot", "operator": "Exists", "toleration_seconds": "30"}]},
            ["tolerations"],
            [{"key": "spot", "operator": "Exists", "tolerationSeconds": 30}],
        ),
        (
            {
                "affinity": {
                    "pod_affinity": {"required_during_scheduling_ignored_during_execution": [{"topologyKey": "z"}]}
                }
            },
            ["affinity"],
            {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "z"}]}},
        ),
        ({"service_account": "trainer"}, ["serviceAccountName"], "trainer"),
        ({"extended_resources": {"rdma/hca": 1.0}}, ["containers", 0, "resources", "requests", "rdma/hca"], "1"),
        ({"extended_resources": {"rdma/hca": 1}}, ["containers", 0, "resources", "limits", "rdma/hca"], "1"),
    ],
)
def test_what_yaml_makes_of_what_was_typed_is_what_was_meant(settings: Json, path: list[Any], expected: Any) -> None:
    manifest = make_job("pass", Path("/shared"), overlays=parse_job_settings(json.dumps(settings)))
    found = manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    for step in path:
        found = found[step]
    assert found == expected
    assert list_errors(settings) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env": {"A": [1]}}, r"job_settings.env.A must be text, a number, true or false. Received: 'list'"),
        ({"env": {"A": None}}, "job_settings.env.A must be text"),
        ({"env": {"A-B": "x"}}, "job_settings.env must have letters, digits and '_' in its names"),
        ({"env": {"A": {}}}, "job_settings.env.A must have one source"),
        ({"labels": {"team": "a b"}}, "job_settings.labels.team must have at most 63 letters"),
        ({"labels": {"-": "a"}}, "job_settings.labels must have names such as team or example.com/team"),
        ({"image_pull_secrets": ["a", ""]}, "job_settings.image_pull_secrets[1] must be the name of a secret"),
        ({"tolerations": ["a", "b:Never"]}, "job_settings.tolerations[1].effect must be one of NoSchedule"),
        ({"tolerations": ["=x"]}, "job_settings.tolerations[0] must be an object or a taint such as key=value:NoSch"),
        ({"tolerations": [{"keys": "a"}]}, "tolerations[0] must have no fields but effect, key, operator"),
        ({"affinity": {"node_affinity": {}, "nodeAffinity": {}}}, "affinity must have nodeAffinity once"),
        (
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}},
            "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution must have nodeSelectorTerms",
        ),
        ({"affinity": {"nodeAffinity": []}}, "job_settings.affinity.nodeAffinity must be an object"),
        ({"scheduling_policy": {"minAvailable": "all"}}, "scheduling_policy.minAvailable must be a whole number"),
        ({"scheduling_policy": {"minAvailable": 2**40}}, "scheduling_policy.minAvailable must be at most"),
        ({"service_account": "Team A"}, "job_settings.service_account must be a name of lower-case letters"),
        ({"service_account": 7}, "job_settings.service_account must be a JSON string. Received: 7"),
        ({"extended_resources": {"rdma/hca": "one"}}, "extended_resources.rdma/hca must be an amount such as 2"),
        ({"extended_resources": {"nvidia.com/gpu": 1}}, "must be left out: it is the parameter gpus_per_replica"),
        ({"extended_resources": {"hca": 1}}, "extended_resources must have names such as rdma/hca"),
    ],
)
def test_what_cannot_fit_is_refused_with_the_path_of_the_mistake(settings: Json, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        parse_job_settings(json.dumps(settings))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, None),
        ({"env": {"A": 1}, "queue_name": ""}, None),
        ({"node_selector": {"pool": "gpu"}, "tolerations": ["spot"]}, "node_selector, tolerations"),
        ({"env": {"A": 1, "NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}}}}, "env.NODE"),
    ],
)
def test_what_has_no_effect_on_this_machine_is_told_in_one_line(settings: Json, told: str | None) -> None:
    line = None if told is None else f"on this machine these job_settings have no effect: {told}"
    assert describe_settings_here(json.dumps(settings)) == line


def test_a_field_that_may_be_true_is_a_boolean_however_it_was_typed() -> None:
    key = {"name": "s", "key": "k"}
    for typed_value in (True, "true"):
        assert fit_model("here", "V1SecretKeySelector", {**key, "optional": typed_value}) == {**key, "optional": True}
    with pytest.raises(SpecError, match=r"here\.optional must be true or false\. Received: 1"):
        fit_model("here", "V1SecretKeySelector", {**key, "optional": 1})
