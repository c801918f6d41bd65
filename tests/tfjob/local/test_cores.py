import pytest

from tfjob.local.cores import assign_cores, limit_to_quota


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
    ("cpu_max", "cores"),
    [
        ("max 100000\n", [0, 1, 2, 3]),
        ("200000 100000\n", [0, 1]),
        ("250000 100000\n", [0, 1]),
        ("50000 100000\n", [0]),
        ("800000 100000\n", [0, 1, 2, 3]),
    ],
)
def test_a_containers_cpu_limit_bounds_the_cores(cpu_max: str, cores: list[int]) -> None:
    assert limit_to_quota([0, 1, 2, 3], cpu_max) == cores
