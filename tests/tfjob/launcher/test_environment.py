from pathlib import Path

import pytest

from tfjob.launcher import current_namespace, is_in_pod, owner_reference, read_boot_id


@pytest.mark.parametrize(("environment", "is_so"), [({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True), ({}, False)])
def test_a_pod_is_known_by_the_address_of_its_api_server(environment: dict[str, str], is_so: bool) -> None:
    assert is_in_pod(environment) is is_so


def test_the_namespace_is_that_of_the_service_account(tmp_path: Path) -> None:
    file = tmp_path / "namespace"
    file.write_text("team-a\n")
    assert current_namespace(file) == "team-a"


def test_outside_of_a_pod_the_namespace_is_default(tmp_path: Path) -> None:
    assert current_namespace(tmp_path / "namespace") == "default"


def test_a_steps_jobs_belong_to_its_pod() -> None:
    assert owner_reference({"KFP_POD_NAME": "step", "KFP_POD_UID": "1-2"}) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "step",
        "uid": "1-2",
    }


@pytest.mark.parametrize(
    "environment", [{}, {"KFP_POD_NAME": "step"}, {"KFP_POD_UID": "1"}, {"KFP_POD_NAME": "", "KFP_POD_UID": ""}]
)
def test_outside_of_kfp_jobs_belong_to_nobody(environment: dict[str, str]) -> None:
    assert owner_reference(environment) is None


def test_a_boot_is_known_by_its_number_where_the_system_tells_it(tmp_path: Path) -> None:
    (tmp_path / "boot_id").write_text("5d0b0f5e-2a53-4a9c-9d3a-0a52ad3a1e51\n")
    assert read_boot_id(tmp_path / "boot_id") == "5d0b0f5e-2a53-4a9c-9d3a-0a52ad3a1e51"
    assert read_boot_id(tmp_path / "none") is None
