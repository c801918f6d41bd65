from comparison.environment import describe_environment
from tests.comparison.record_factory import make_record


def test_an_environment_that_differs_is_listed_in_full() -> None:
    facts = describe_environment([make_record(backend="local"), make_record(backend="cluster", image="me/it:1")])

    assert facts["backend"] == "local; cluster"
    assert facts["image"] == "none: processes on the host; me/it:1"
    assert facts["memory"] == "24.0 GiB"
    assert facts["tensorflow"] == "2.21.0"
