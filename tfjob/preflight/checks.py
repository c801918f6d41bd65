"""What a cluster must have for TFJobs: the list of checks, each a small function from a cluster to a finding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tfjob.preflight.api import Api, Refused, Unreachable
from tfjob.preflight.cluster import check_gpus, check_kubernetes_version, check_pipelines, check_server
from tfjob.preflight.finding import Finding, Options, Outcome, Status
from tfjob.preflight.namespace import check_istio, check_namespace, check_pod_security, check_queue
from tfjob.preflight.operator import (
    check_operator,
    check_operator_version,
    check_tfjob_api,
    check_webhook,
    check_webhook_refuses,
)
from tfjob.preflight.rights import check_rights, lacks_right, tell_right
from tfjob.preflight.storage import check_storage_class
from tfjob.preflight.trial import check_image, check_volume


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Args:
        what: Its name.
        inspect: Looks.
        needs: Names of the checks without whose success it could say nothing.
        applies: Whether it is asked for.
    """

    what: str
    inspect: Callable[[Api, Options], Outcome]
    needs: tuple[str, ...] = ()
    applies: Callable[[Options], bool] = lambda _: True


CHECKS = (
    Check("API server", check_server),
    Check("Kubernetes version", check_kubernetes_version),
    Check("namespace", check_namespace),
    Check("TFJob API", check_tfjob_api),
    Check("training operator", check_operator, needs=("TFJob API",)),
    Check("operator's version", check_operator_version, needs=("TFJob API",)),
    Check("webhook", check_webhook, needs=("namespace", "TFJob API")),
    Check("webhook's refusal", check_webhook_refuses, needs=("webhook",)),
    Check("rights", check_rights, needs=("namespace",)),
    Check("pod security", check_pod_security, needs=("namespace",)),
    Check("storage class", check_storage_class),
    Check("image", check_image, needs=("pod security",), applies=lambda options: options.image is not None),
    Check("volume", check_volume, needs=("image", "storage class"), applies=lambda options: options.is_trying),
    Check("Kubeflow Pipelines", check_pipelines, applies=lambda options: options.kfp_endpoint is not None),
    Check("Istio", check_istio, needs=("namespace",)),
    Check("Kueue", check_queue, needs=("webhook",), applies=lambda options: options.queue is not None),
    Check("GPUs", check_gpus, applies=lambda options: options.gpus > 0),
)


def run_checks(api: Api, options: Options) -> Iterator[Finding]:
    """Yields what each check finds, in their order."""
    missing: set[str] = set()
    for check in CHECKS:
        if not check.applies(options):
            continue
        lacking = [name for name in check.needs if name in missing]
        outcome = Outcome(Status.UNKNOWN, f"not looked at, for want of: {', '.join(lacking)}")
        if not lacking:
            outcome = _inspect(check, api, options)
        yield Finding(outcome.status, check.what, outcome.detail, outcome.fix)
        if lacking or outcome.status is Status.FAILED:
            missing.add(check.what)
        if check is CHECKS[0] and missing:
            # Without an API server, every further line would say the same.
            return


def _inspect(check: Check, api: Api, options: Options) -> Outcome:
    try:
        return check.inspect(api, options)
    except Refused as error:
        if lacks_right(error):
            return Outcome(Status.UNKNOWN, tell_right(error))
        return Outcome(Status.FAILED, f"the answer was {error}")
    except Unreachable as error:
        return Outcome(Status.FAILED, f"no answer: {error}", "kubectl cluster-info")
