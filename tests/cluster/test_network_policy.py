from pathlib import Path

import yaml

from tests.cluster.site import Namespace

POLICY = Path(__file__).parents[2] / "manifests" / "base" / "network-policy.yaml"


def test_the_api_server_takes_the_policy_as_it_is_written(namespace: Namespace) -> None:
    written = yaml.safe_load(POLICY.read_text())
    assert namespace.get("networkpolicy", written["metadata"]["name"])["spec"] == written["spec"]
