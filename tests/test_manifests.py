from pathlib import Path
from typing import Any

import pytest
import yaml

from tfjob.launch import RUN_LABEL
from tfjob.preflight.rights import NEEDED_RIGHTS

MANIFESTS = Path(__file__).parents[1] / "manifests"
FOLDERS = sorted(path.parent for path in MANIFESTS.glob("*/kustomization.yaml"))
FILES = sorted(MANIFESTS.glob("*/*.yaml"))
LIMITED = {"requests.cpu": "cpu", "limits.cpu": "cpu", "requests.memory": "memory", "limits.memory": "memory"}


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def test_the_role_grants_what_preflight_asks_for_and_nothing_more() -> None:
    role = load(MANIFESTS / "base" / "role.yaml")
    granted = [
        (group, resource, tuple(sorted(rule["verbs"])))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]
    assert role["kind"] == "Role"
    assert granted == list(NEEDED_RIGHTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_no_manifest_grants_a_wildcard_or_reaches_beyond_its_namespace(path: Path) -> None:
    content = load(path)
    assert content["kind"] not in {"ClusterRole", "ClusterRoleBinding"}
    for rule in content.get("rules", []):
        assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
        assert "secrets" not in rule["resources"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_lists_all_its_files_and_only_what_is_there(folder: Path) -> None:
    resources = load(folder / "kustomization.yaml")["resources"]
    local = {name for name in resources if not name.startswith("github.com/")}
    assert {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"} == {n for n in local if "/" not in n}
    for name in local:
        assert (folder / name).exists()


def test_the_readme_has_a_line_for_each_folder() -> None:
    readme = (MANIFESTS / "README.md").read_text()
    assert [folder.name for folder in FOLDERS if f"| `{folder.name}/` |" not in readme] == []
    assert len(FOLDERS) == readme.count("/` |")


@pytest.mark.parametrize(("folder", "account"), [("kubeflow", "pipeline-runner"), ("profile", "default-editor")])
def test_an_overlay_binds_the_role_to_kfps_account_in_its_own_namespace(folder: str, account: str) -> None:
    kustomization = load(MANIFESTS / folder / "kustomization.yaml")
    deletion, replacement = (yaml.safe_load(patch["patch"]) for patch in kustomization["patches"])
    own = load(MANIFESTS / "base" / "service-account.yaml")["metadata"]["name"]
    assert (deletion["$patch"], deletion["kind"], deletion["metadata"]["name"]) == ("delete", "ServiceAccount", own)
    assert replacement == [
        {
            "op": "replace",
            "path": "/subjects",
            "value": [{"kind": "ServiceAccount", "name": account, "namespace": kustomization["namespace"]}],
        }
    ]


def test_the_role_is_bound_by_its_name() -> None:
    role, binding = (load(MANIFESTS / "base" / name) for name in ("role.yaml", "role-binding.yaml"))
    account = load(MANIFESTS / "base" / "service-account.yaml")
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]


def test_only_replicas_of_runs_reach_replicas_of_runs() -> None:
    policy = load(MANIFESTS / "base" / "network-policy.yaml")
    replicas = {"matchExpressions": [{"key": RUN_LABEL, "operator": "Exists"}]}
    assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    # What they reach is left as it is: names are resolved, and a person's program may read its data from elsewhere.
    assert policy["spec"] == {
        "podSelector": replicas,
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": replicas}]}],
    }


def test_the_operator_is_pinned_to_the_version_whose_crd_the_tests_hold() -> None:
    (crd,) = (Path(__file__).parent / "tfjob" / "golden").glob("kubeflow.org_tfjobs-*.yaml")
    version = crd.stem.removeprefix("kubeflow.org_tfjobs-")
    assert load(MANIFESTS / "operator" / "kustomization.yaml")["resources"] == [
        f"github.com/kubeflow/training-operator.git/manifests/overlays/standalone?ref={version}"
    ]


def test_the_example_namespace_enforces_the_restricted_standard() -> None:
    namespace = load(MANIFESTS / "namespace" / "namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_limit_range_gives_defaults_for_all_that_the_quota_counts() -> None:
    quota = load(MANIFESTS / "quota" / "resource-quota.yaml")["spec"]["hard"]
    (limits,) = load(MANIFESTS / "quota" / "limit-range.yaml")["spec"]["limits"]
    for counted, resource in LIMITED.items():
        assert counted in quota
        assert resource in limits["defaultRequest" if counted.startswith("requests") else "default"]
