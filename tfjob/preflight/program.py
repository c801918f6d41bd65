"""Whether a cluster has what TFJobs need: `python -m tfjob.preflight`, one line a check, with a command to mend it."""

import argparse
import dataclasses
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

from tfjob.cluster import load_configuration
from tfjob.errors import NoBackend
from tfjob.preflight.api import Api
from tfjob.preflight.checks import run_checks
from tfjob.preflight.finding import Finding, Options, Status
from tfjob.preflight.streams import make_printable, replace_unencodable

_INTERRUPTED = 130


def main(
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    prog: str = "python -m tfjob.preflight",
) -> int:
    """Returns 0 if no check failed, else 1."""
    replace_unencodable()
    parser = _build_parser(prog)
    parsed = vars(parser.parse_args(arguments))
    is_json, options = parsed.pop("json"), Options(**parsed)
    if options.is_trying and options.image is None:
        parser.error("--try must come with --image: the pods that it makes are of that image.")
    try:
        api = Api(load_configuration(environment))
    except NoBackend as error:
        fix = "export KUBECONFIG=/path/to/kubeconfig"
        return report([Finding(Status.FAILED, str(error), fix, "API server")], is_json)
    try:
        return report(run_checks(api, options), is_json)
    except KeyboardInterrupt:
        print("interrupted" + ("; a trial's TFJob has been deleted" if options.is_trying else ""), file=sys.stderr)
        return _INTERRUPTED


def report(findings: Iterable[Finding], is_json: bool) -> int:
    """Prints findings as they come, or all of them as JSON, and returns the exit code."""
    seen = []
    for finding in findings:
        seen.append(finding)
        if not is_json:
            print(make_printable(render_finding(finding)), flush=True)
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
        choices=("ReadWriteMany", "ReadWriteOnce"),
        help="that of the workspace (default: %(default)s)",
    )
    parser.add_argument("--queue", help="Kueue's LocalQueue")
    parser.add_argument("--gpus", type=_count, default=defaults.gpus, help="NVIDIA GPUs of each replica")
    parser.add_argument(
        "--try",
        dest="is_trying",
        action="store_true",
        help="also run a TFJob with volumes for a moment, and delete it",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _count(text: str) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more. Received: {text!r}")
    return int(text)
