"""Running the pipeline on a Kubeflow Pipelines server: submit, follow, fetch.

The run is the server's. This program may be interrupted and take it up again.
"""

import contextlib
import io
import re
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kfp_server_api  # type: ignore[import-untyped]

from components.planning import HOLDERS, Parameters, check_name, read_form
from components.train import train_single_node
from pipeline.live_output import LiveOutput
from pipeline.remote.fetch import Fetched, fetch_results, find_catalog
from pipeline.remote.follow import Pace, Progress, follow
from pipeline.remote.run_state import SUCCEEDED, RunState, Step, read_run_state
from pipeline.remote.server import (
    ENDPOINT_VARIABLE,
    LEAST_VERSION,
    NAMESPACE_VARIABLE,
    ConnectionLostError,
    NotFoundError,
    Server,
    ServerError,
)
from pipeline.remote.upload import describe_version, filter_by_name, upload_compiled
from pipeline.remote.waiting_jobs import WaitingJobs
from pipeline.results import RESULT_FILES, describe_partial_results, point_latest, shorten
from pipeline.shell import FAILED, INTERRUPTED, write_run
from pipeline.speedup import Workspace, speedup_pipeline
from pipeline.steps import count_steps, name_steps, read_spec
from pipeline.streams import complain, tell

# All of these begin side by side, one an iteration; the distributed ones begin when it is their turn.
_STEPS_THAT_WAIT = frozenset({train_single_node.name})
# So far the clocks of ML Metadata and of the cluster may differ; a retry comes later than that.
_CLOCKS_SECONDS = 5.0
_NUM_LOG_LINES = 15
# Of a server that has not even looked at what it was asked.
_TOO_MANY_REQUESTS = 429
# How a step says that the cluster knows no TFJobs: this project's words, and Kubernetes' own.
_NO_OPERATOR = re.compile(
    r"does not know TFJobs|no matches for kind \"?TFJob|could not find the requested resource", re.IGNORECASE
)
# How the server says that nothing of a run is left in the cluster.
_NO_WORKFLOW = re.compile(r"not found", re.IGNORECASE)
_OPERATOR_ADVICE = (
    "The cluster seems to lack the Kubeflow training operator, which runs TFJobs. With access to the cluster, "
    "`python -m tfjob.preflight` says what is missing and how to mend it."
)


def start_run(
    server: Server,
    parameters: Mapping[str, Any],
    workspace: Workspace,
    *,
    experiment: str,
    run_name: str,
    service_account: str,
) -> str:
    """Starts a run and returns its identifier.

    Args:
        server: The server.
        parameters: Those of the pipeline.
        workspace: The run's shared volume.
        experiment: KFP's folder of runs.
        run_name: Name in the dashboard; empty for one with the time.
        service_account: Account of the steps' pods; empty for the server's default.

    Raises:
        ServerError: The server cannot be used, or refuses.
    """
    health = server.check()
    find_catalog(server).check()  # without it the results could not be fetched
    version = health.version or f"of a version that it does not tell ({LEAST_VERSION} or later is needed)"
    tell(f"Server {server.access.endpoint}: KFP {version}")
    uploaded = upload_compiled(server, workspace)
    tell(describe_version(server.access, uploaded))
    run = kfp_server_api.V2beta1Run(
        display_name=run_name or time.strftime(f"{speedup_pipeline.name}-%Y%m%d-%H%M%S"),
        experiment_id=find_experiment(server, experiment) or create_experiment(server, experiment),
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=uploaded.pipeline_id, pipeline_version_id=uploaded.version_id
        ),
        service_account=service_account or None,
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters=dict(parameters)),
    )
    try:
        return str(server.runs.run_service_create_run(run).run_id)
    except ConnectionLostError as error:
        if error.status == _TOO_MANY_REQUESTS:
            raise
        raise ServerError(
            f"{error}\nThe server may have started the run all the same. Before you start another, which would compete "
            f"with it, see whether {run.display_name} is there, and follow it then with --resume: "
            f"{server.access.link_runs()}"
        ) from error


def find_experiment(server: Server, name: str) -> str | None:
    """Returns the identifier of the experiment of that name; None if there is none."""
    answer = server.experiments.experiment_service_list_experiments(
        filter=filter_by_name(name), namespace=server.access.namespace
    )
    found = (e.experiment_id for e in answer.experiments or [] if e.display_name == name)
    return next(map(str, found), None)


def create_experiment(server: Server, name: str) -> str:
    """Returns the identifier of a new experiment."""
    experiment = kfp_server_api.V2beta1Experiment(display_name=name, namespace=server.access.namespace or None)
    return str(server.experiments.experiment_service_create_experiment(experiment).experiment_id)


def read_parameters(server: Server, run_id: str) -> dict[str, Any]:
    """Returns the parameters that a run was started with.

    Raises:
        ServerError: The server has no such run, or cannot be used.
    """
    server.check()
    find_catalog(server).check()
    run = server.runs.run_service_get_run(run_id)
    if run.run_id != run_id:  # a part of a path leads elsewhere
        raise ServerError(f"There is no run {run_id!r}: a run's identifier is the last part of its link.")
    form = (run.runtime_config and run.runtime_config.parameters) or {}
    try:
        return vars(read_form(form))
    except ValueError:  # its first step refused it, or it is another version's
        return vars(Parameters()) | form


def watch(server: Server, run_id: str, parameters: Mapping[str, Any], runs_dir: Path, *, prog: str, pace: Pace) -> int:
    """Follows a run to its end, fetches its results and returns the exit code: 0, 1 or, interrupted, 130.

    Args:
        server: The server.
        run_id: The run.
        parameters: Its parameters.
        runs_dir: Folder of all runs' results.
        prog: What this program was called by.
        pace: How often the run is looked at.

    Raises:
        ValueError: The server calls the run what no folder can be called by.
    """
    check_name("The run's identifier", run_id)
    tell(f"Run {run_id}: {server.access.link_run(run_id)}")
    tell(f"Results will be in {shorten(runs_dir.resolve() / run_id)}/")
    spec = read_spec()
    progress = Progress(
        server.access,
        name_steps(spec),
        count_steps(spec, parameters),
        tell,
        pace.clock,
        in_turns=_STEPS_THAT_WAIT,
    )
    jobs = WaitingJobs(server, find_catalog(server), run_id, tell, pace.clock)
    holders: dict[str, Any] = {name: str(parameters[name]) for name in HOLDERS}
    state = None
    try:
        with _sigterm_interrupts():
            run, state = follow(server, run_id, progress, jobs, pace)
            tell("Fetching the results …")
            fetched = fetch_results(
                server, run_id, runs_dir.resolve(), Parameters(**holders), has_succeeded=run.state == SUCCEEDED
            )
    except KeyboardInterrupt:
        told = f"the run {state.end}" if state else "the run goes on on the cluster"
        next_steps = describe_next_steps(server, run_id, prog, has_ended=bool(state))
        complain(f"\nInterrupted: {told}.\n{next_steps}")
        return INTERRUPTED
    except (ServerError, OSError) as error:
        if isinstance(error, NotFoundError) and not state:
            complain(f"error: {error}\nThe run is no longer there: somebody deleted it.")
            return FAILED
        told = f"{state.end}, and is still there" if state else "goes on, as far as is known"
        next_steps = describe_next_steps(server, run_id, prog, has_ended=bool(state))
        complain(f"error: {error}\nThe run {told}.\n{next_steps}")
        return FAILED
    for place in fetched.left:
        tell(f"Not fetched, so without its models and logs: {place}")
    if run.state != SUCCEEDED or fetched.missing:
        complain(describe_failure(server, run, state, fetched))
        return FAILED
    point_latest(fetched.run_dir)
    tell(read_own_lines(_last_log(fetched, RESULT_FILES["report.html"][0])).rstrip("\n"))
    seconds = (run.finished_at - run.created_at).total_seconds()
    tell(f"\nReport: {shorten(fetched.run_dir / 'report.html')} (after {seconds:.0f} s)")
    return 0


def terminate(server: Server, run_id: str) -> int:
    """Ends a run and returns the exit code.

    Raises:
        ServerError: There is no such run, or it has ended, or the server does not do it.
    """
    run = server.runs.run_service_get_run(run_id)
    state = read_run_state(run, frozenset())
    if state.has_ended:
        raise ServerError(f"The run {state.end} already: {server.access.link_run(run_id)}")
    try:
        server.runs.run_service_terminate_run(run_id)
    except ServerError as error:
        if not _NO_WORKFLOW.search(str(error)):
            raise
        raise ServerError(
            f"{error}\nKFP shows the run as {run.state}, but has no workflow of it any more: it can only be archived "
            f"and deleted, in the dashboard: {server.access.link_run(run_id)}"
        ) from error
    tell(f"The run is being terminated: {server.access.link_run(run_id)}")
    return 0


def describe_next_steps(server: Server, run_id: str, prog: str, *, has_ended: bool) -> str:
    """Returns what a person can do about a run whose results are not here."""
    access = server.access
    where = f"{ENDPOINT_VARIABLE}={access.endpoint}"
    if access.namespace:
        where += f" {NAMESPACE_VARIABLE}={access.namespace}"
    lines = [
        f"  look at it:           {access.link_run(run_id)}",
        f"  follow and fetch it:  {write_run(prog, f'--resume {run_id}', where)}",
        f"  end it:               {write_run(prog, f'--terminate {run_id}', where)}",
    ]
    return "\n".join(lines[:2] if has_ended else lines)


def describe_failure(server: Server, run: Any, state: RunState, fetched: Fetched) -> str:
    """Returns what a person is told of a run that did not succeed, or that lacks results.

    Args:
        server: The server.
        run: The server's last answer about it.
        state: What that says.
        fetched: What was fetched.
    """
    told = []
    failed = {step.name: step for step in state.steps if step.has_failed}
    for name, step in failed.items():
        log = _last_log(fetched, name, since=step.started_at.timestamp())
        lines = find_error(read_own_lines(log).splitlines())
        told += [f"{name}:", *(f"  {line}" for line in lines or explain_missing_log(server, run, step))]
    if _NO_OPERATOR.search("\n".join(told)):
        told.append(_OPERATOR_ADVICE)
    if state.terminated_at and run.state != SUCCEEDED:
        during = f", during {', '.join(dict.fromkeys(state.terminated_steps))}" if state.terminated_steps else ""
        told.append(f"Somebody ended it at {state.terminated_at:%H:%M:%S} (UTC){during}.")
    elif not told and run.state != SUCCEEDED:
        told.append("No step failed by itself: the cluster could not start one, or gave the run up.")
    if run.error and run.error.message:
        told.append(f"KFP says: {run.error.message}")
    if run.state == SUCCEEDED:
        told.append(f"The run succeeded, but left no {', '.join(fetched.missing)}.")
    return "\n".join(
        [
            *told,
            f"The run {state.end}: {server.access.link_run(run.run_id)}",
            describe_partial_results(fetched.run_dir),
        ]
    )


def explain_missing_log(server: Server, run: Any, step: Step) -> list[str]:
    """Returns why a step that failed may have left no log."""
    why = "it left no log; its pod may not have started"
    if step.has_run:
        why = (
            "it left no log, though its pod ran: the pod was killed before it could store one, most likely for memory "
            "(exit code 137), or because its node went"
        )
    return [f"{why}. While the pods are there, the cluster tells:", f"  {server.access.inspect_pods(run.run_id)}"]


def read_own_lines(log: str) -> str:
    """Returns what a step's program said itself, without what KFP says around it."""
    shown = io.StringIO()
    live = LiveOutput(shown, io.StringIO(), num_steps=0)
    live.write("".join(f"    {line}\n" for line in log.splitlines()))  # indented, as the local runner hands it over
    return shown.getvalue()


def find_error(lines: list[str]) -> list[str]:
    """Returns the part of a step's lines that says why it failed: from its error on, else the last lines."""
    begins = [index for index, line in enumerate(lines) if line.startswith("error: ")]
    return lines[begins[-1] :] if begins else lines[-_NUM_LOG_LINES:]


def _last_log(fetched: Fetched, step: str, since: float = 0.0) -> str:
    """Returns a step's last log; one from before its last begin is of an earlier try, and tells of another failure."""
    logs = [log for log in fetched.logs if log.step == step]
    return logs[-1].text if logs and not 0.0 < logs[-1].created_at < since - _CLOCKS_SECONDS else ""


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Lets SIGTERM do what Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
