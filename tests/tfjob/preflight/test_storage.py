from dataclasses import replace

import pytest

from tests.tfjob.fake_api import CLASSES, OPTIONS, FakeApi, look, storage_class
from tfjob.preflight.api import Json
from tfjob.preflight.finding import Options, Status


@pytest.mark.parametrize(
    ("classes", "options", "status", "fix"),
    [
        (
            [],
            OPTIONS,
            Status.FAILED,
            "kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true",
        ),
        (
            [storage_class("a", "nfs.csi.k8s.io")],
            OPTIONS,
            Status.FAILED,
            "kubectl annotate storageclass a storageclass.kubernetes.io/is-default-class=true",
        ),
        ([storage_class("a", "nfs.csi.k8s.io")], replace(OPTIONS, storage_class="a"), Status.OK, None),
        (
            [storage_class("a", "nfs.csi.k8s.io", is_default=True)],
            replace(OPTIONS, storage_class="b"),
            Status.FAILED,
            "kubectl get storageclasses",
        ),
        ([storage_class("a", "example.com/own", is_default=True)], OPTIONS, Status.UNKNOWN, None),
        (
            [storage_class("a", "rancher.io/local-path", is_default=True)],
            OPTIONS,
            Status.WARNING,
            "kubectl get storageclasses",
        ),
        (
            [storage_class("a", "rancher.io/local-path", is_default=True)],
            replace(OPTIONS, access_mode="ReadWriteOnce"),
            Status.OK,
            None,
        ),
    ],
)
def test_a_storage_class_is_judged_by_its_provisioner(
    api: FakeApi, classes: list[Json], options: Options, status: Status, fix: str | None
) -> None:
    api.gets[CLASSES] = {"items": classes}
    finding = look(api, options)["storage class"]
    assert (finding.status, finding.fix) == (status, fix)
