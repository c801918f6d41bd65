"""Whether a cluster has what TFJobs need: `python -m tfjob.preflight`, one line a check, with a command to mend it."""

import argparse
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence

from tfjob.preflight_api import Api, Unreachable, connect
from tfjob.preflight_checks import run_checks
from tfjob.preflight_finding import Finding, Options, Status

_INTERRUPTED = 130


def main(
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    prog: str = "python -m tfjob.preflight",
) -> int:
    """Returns 0 if no check failed, else 1."""
    parser = _build_parser(prog)
    parsed = parser.parse_args(arguments)
    if parsed.try_pods and parsed.image is None:
        parser.error("--try must come with --image: the pod that it makes is one of that image.")
    options = Options(
        namespace=parsed.namespace,
        service_account=parsed.service_account,
        image=parsed.image,
        storage_class=parsed.storage_class,
        access_mode=parsed.access_mode,
        queue=parsed.queue,
        gpus=parsed.gpus,
        kfp_endpoint=environment.get("KFP_ENDPOINT") or None,
        is_trying=parsed.try_pods,
        timeout_seconds=parsed.timeout,
    )
    try:
        api: Api = connect(environment)
    except Unreachable as error:
        fix = "export KUBECONFIG=/path/to/kubeconfig"
        return report([Finding(Status.FAILED, "API server", f"nothing says where it is: {error}", fix)], parsed.json)
    # What was made for a trial is deleted after SIGTERM as it is after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return report(run_checks(api, options), parsed.json)
    except KeyboardInterrupt:
        print("interrupted; what was made for a trial has been deleted", file=sys.stderr)
        return _INTERRUPTED


def report(findings: Iterable[Finding], is_json: bool) -> int:
    """Prints findings as they come, or all of them as JSON, and returns the exit code."""
    seen = []
    for finding in findings:
        seen.append(finding)
        if not is_json:
            print(render_finding(finding), flush=True)
    failed = sum(finding.status is Status.FAILED for finding in seen)
    if is_json:
        print(json.dumps({"failed": failed, "findings": [dataclasses.asdict(finding) for finding in seen]}, indent=2))
    return 1 if failed else 0


def render_finding(finding: Finding) -> str:
    """Returns a finding as a line, and its fix as another one."""
    line = f"{finding.status:<8} {finding.what} – {' '.join(finding.detail.split())}"
    return line if finding.fix is None else f"{line}\n         fix: {finding.fix}"


def _build_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    defaults = Options()
    parser.add_argument("--namespace", default=defaults.namespace, help="where runs are (default: %(default)s)")
    parser.add_argument("--service-account", help="whose rights count (default: those of who asks)")
    parser.add_argument("--image", help="the image of steps and replicas")
    parser.add_argument("--storage-class", help="that of the workspace (default: the cluster's default)")
    parser.add_argument(
        "--access-mode",
        default=defaults.access_mode,
        choices=("ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"),
        help="that of the workspace (default: %(default)s)",
    )
    parser.add_argument("--queue", help="Kueue's LocalQueue")
    parser.add_argument("--gpus", type=_count, default=defaults.gpus, help="NVIDIA GPUs of each replica")
    parser.add_argument(
        "--try", dest="try_pods", action="store_true", help="also make a pod and a claim for a moment, and delete them"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=defaults.timeout_seconds,
        metavar="SECONDS",
        help="how long each pod of --try may take (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError(f"must not be negative. Received: {text}")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {text}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
