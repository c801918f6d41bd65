"""The schema of the operator's CRD, strict where the API server would silently drop what it does not know."""

from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

GOLDEN = Path(__file__).parent / "golden"
OPERATOR_VERSION = "v1.9.3"


def read_crd() -> dict[str, Any]:
    text = (GOLDEN / f"kubeflow.org_tfjobs-{OPERATOR_VERSION}.yaml").read_text()
    definition: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return definition


def make_validator(crd: dict[str, Any]) -> Draft202012Validator:
    schema = refuse_what_is_pruned(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    # The CRD leaves the job's own metadata to the API server; a pod template's is the same type, written out.
    replica = schema["properties"]["spec"]["properties"]["tfReplicaSpecs"]["additionalProperties"]
    schema["properties"]["metadata"] = replica["properties"]["template"]["properties"]["metadata"]
    return Draft202012Validator(schema)


def refuse_what_is_pruned(schema: Any) -> Any:
    if isinstance(schema, list):
        return [refuse_what_is_pruned(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: refuse_what_is_pruned(value) for key, value in schema.items()}
    if schema.get("type") == "object":
        strict.setdefault("additionalProperties", False)
    return strict
