import pytest

from tfjob.local.machine.cores import assign_cores, limit_to_quota, prefer_cores, rotate_cores


@pytest.mark.parametrize(
    ("asked", "available", "cores"),
    [
        ({"worker-0": 1}, [0, 1], {"worker-0": (0,)}),
        ({"worker-0": 2}, [0, 1], {"worker-0": (0, 1)}),
        ({"worker-0": 0.5, "worker-1": 0.5}, [4, 6], {"worker-0": (4,), "worker-1": (6,)}),
        ({"worker-0": 1.5, "worker-1": 1}, [0, 1, 2], {"worker-0": (0, 1), "worker-1": (2,)}),
        (
            {"chief-0": 1, "worker-0": 1, "worker-1": 1, "ps-0": 1},
            [0, 1, 2, 3],
            {"worker-0": (0,), "worker-1": (1,), "chief-0": (2,), "ps-0": (3,)},
        ),
    ],
)
def test_with_enough_cores_each_replica_has_its_own(
    asked: dict[str, float], available: list[int], cores: dict[str, tuple[int, ...]]
) -> None:
    assignment = assign_cores(asked, available)
    assert assignment.cores == cores
    assert not assignment.is_contended


@pytest.mark.parametrize(
    ("asked", "available", "cores", "numbers"),
    [
        (
            {"chief-0": 1, "worker-0": 1, "worker-1": 1, "ps-0": 1},
            [0, 1],
            {"worker-0": (0,), "worker-1": (1,), "chief-0": (0, 1), "ps-0": (0, 1)},
            "4 replicas ask for 4 cores, this machine has 2",
        ),
        (
            {"worker-0": 1, "worker-1": 1, "worker-2": 1},
            [2, 3],
            {"worker-0": (2,), "worker-1": (3,), "worker-2": (2,)},
            "3 replicas ask for 3 cores, this machine has 2",
        ),
        (
            {"worker-0": 2, "worker-1": 2},
            [0, 1, 2],
            {"worker-0": (0, 1), "worker-1": (0, 2)},
            "2 replicas ask for 4 cores, this machine has 3",
        ),
        ({"worker-0": 8}, [0, 1], {"worker-0": (0, 1)}, "1 replica asks for 8 cores, this machine has 2"),
    ],
)
def test_without_enough_workers_wrap_round_and_the_others_share_all(
    asked: dict[str, float], available: list[int], cores: dict[str, tuple[int, ...]], numbers: str
) -> None:
    assignment = assign_cores(asked, available)
    assert assignment.cores == cores
    assert assignment.warning == f"{numbers}: timings are contended"


@pytest.mark.parametrize(
    ("quota", "cores"), [(None, [0, 1, 2, 3]), (2.0, [0, 1]), (2.5, [0, 1]), (0.5, [0]), (8.0, [0, 1, 2, 3])]
)
def test_a_containers_cpu_limit_bounds_the_cores(quota: float | None, cores: list[int]) -> None:
    assert limit_to_quota([0, 1, 2, 3], quota) == cores


@pytest.mark.parametrize("core_of", [{0: 0, 1: 1, 2: 0, 3: 1}, {0: 0, 1: 0, 2: 2, 3: 2}])
def test_a_thread_of_each_core_comes_before_the_second_of_any(core_of: dict[int, int]) -> None:
    first, second, *rest = prefer_cores(core_of)
    assert core_of[first] != core_of[second]
    assert sorted([first, second, *rest]) == [0, 1, 2, 3]


THREADS = {0: 0, 1: 1, 2: 0, 3: 1}  # two cores of two threads each


def test_replicas_take_cores_before_threads() -> None:
    assignment = assign_cores({"worker-0": 1, "worker-1": 1}, [0, 1, 2, 3], THREADS)
    assert assignment.cores == {"worker-0": (0,), "worker-1": (1,)}
    assert (assignment.warnings, assignment.is_contended) == ([], False)


def test_replicas_that_share_a_core_as_threads_contend_for_it_and_are_told() -> None:
    assignment = assign_cores({"worker-0": 1, "worker-1": 1, "ps-0": 1}, [0, 1, 2, 3], THREADS)
    assert assignment.is_contended
    assert assignment.warnings == [
        "3 replicas ask for 3 cores, this machine has 2: timings are contended",
        "CPUs of worker-0, ps-0 are threads of the same core, which are slower than cores of their own",
    ]


def test_a_replica_that_has_both_threads_of_its_cores_to_itself_is_told_and_does_not_contend() -> None:
    assignment = assign_cores({"worker-0": 4}, [0, 1, 2, 3], THREADS)
    assert not assignment.is_contended
    assert assignment.warnings == [
        "CPUs of worker-0 are threads of the same core, which are slower than cores of their own"
    ]


@pytest.mark.parametrize(
    ("first_core", "order"), [(0, [0, 1, 2, 3]), (1, [1, 0, 3, 2]), (2, [0, 1, 2, 3]), (3, [1, 0, 3, 2])]
)
def test_another_core_comes_first_and_threads_still_come_after_cores(first_core: int, order: list[int]) -> None:
    assert rotate_cores([0, 1, 2, 3], THREADS, first_core) == order


@pytest.mark.parametrize("first_core", range(4))
def test_whichever_core_is_first_workers_have_cores_of_their_own_on_a_machine_of_unlike_cores(first_core: int) -> None:
    core_of = {0: 0, 1: 0, 2: 2, 3: 2, 4: 4, 5: 5}  # two cores of two threads, two of one
    available = rotate_cores(prefer_cores(core_of), core_of, first_core)
    assignment = assign_cores({f"worker-{index}": 1 for index in range(4)}, available, core_of)
    assert (assignment.warnings, assignment.is_contended) == ([], False)


def test_over_as_many_rounds_as_cores_the_single_node_has_each_core_once_and_the_workers_start_where_it_does() -> None:
    jobs = ({"worker-0": 1}, {"worker-0": 1, "worker-1": 1})
    orders = [rotate_cores([2, 5, 7], None, first_core) for first_core in range(3)]
    first = [[assign_cores(job, available).cores["worker-0"] for available in orders] for job in jobs]
    assert first == [[(2,), (5,), (7,)]] * 2


def test_cores_that_are_shared_are_listed_in_order_whichever_is_first() -> None:
    assignment = assign_cores({"chief-0": 1, "worker-0": 1, "worker-1": 1}, rotate_cores([0, 1], None, 1))
    assert assignment.cores == {"chief-0": (0, 1), "worker-0": (1,), "worker-1": (0,)}
