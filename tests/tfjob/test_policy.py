import pytest

from tfjob.policy import Outcome, exceeds_backoff_limit, has_succeeded, outcome_of_exit, restart_delay_seconds
from tfjob.spec import ReplicaType, RestartPolicy, SuccessPolicy


@pytest.mark.parametrize(
    ("policy", "exit_code", "outcome"),
    [
        ("Never", 0, "succeeded"),
        ("Never", 1, "failed"),
        ("Never", 137, "failed"),
        ("OnFailure", 0, "succeeded"),
        ("OnFailure", 1, "restart"),
        ("OnFailure", 137, "restart"),
        ("Always", 0, "restart"),
        ("Always", 1, "restart"),
        ("ExitCode", 0, "succeeded"),
        ("ExitCode", 1, "failed"),
        ("ExitCode", 127, "failed"),
        ("ExitCode", 128, "restart"),
        ("ExitCode", 137, "restart"),
    ],
)
def test_the_restart_policy_decides_what_an_exit_means(policy: RestartPolicy, exit_code: int, outcome: Outcome) -> None:
    assert outcome_of_exit(policy, exit_code) == outcome


@pytest.mark.parametrize(
    ("is_done", "success_policy", "succeeded"),
    [
        ({"Worker": [True, False]}, "", True),
        ({"Worker": [False, True]}, "", False),
        ({"Worker": [True, False]}, "AllWorkers", False),
        ({"Worker": [True, True]}, "AllWorkers", True),
        ({"Worker": [True, True], "PS": [False]}, "AllWorkers", True),
        ({"Chief": [True], "Worker": [False, False]}, "", True),
        ({"Chief": [True], "Worker": [False, False]}, "AllWorkers", True),
        ({"Chief": [False], "Worker": [True, True]}, "", False),
        ({"Chief": [True]}, "", True),
    ],
)
def test_the_chief_decides_or_else_worker_0_or_all_workers(
    is_done: dict[ReplicaType, list[bool]], success_policy: SuccessPolicy, *, succeeded: bool
) -> None:
    assert has_succeeded(is_done, success_policy) == succeeded


@pytest.mark.parametrize(
    ("limit", "restarts", "exceeded"),
    [
        (0, [("OnFailure", 0)], False),
        (0, [("OnFailure", 1)], True),
        (0, [("ExitCode", 1)], True),
        (1, [("OnFailure", 1)], True),
        (3, [("OnFailure", 1), ("OnFailure", 1)], False),
        (3, [("OnFailure", 1), ("Always", 2)], True),
        (3, [("ExitCode", 50), ("OnFailure", 2)], False),
    ],
)
def test_the_backoff_limit_counts_restarts_in_place_of_all_replicas(
    limit: int, restarts: list[tuple[RestartPolicy, int]], *, exceeded: bool
) -> None:
    assert exceeds_backoff_limit(limit, restarts) == exceeded


def test_restarts_wait_as_the_kubelet_does() -> None:
    assert [restart_delay_seconds("OnFailure", earlier) for earlier in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_new_pod_does_not_wait() -> None:
    assert restart_delay_seconds("ExitCode", 5) == 0
