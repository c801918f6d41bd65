from dataclasses import replace

from benchmarks.tfjob_overhead import count_seconds_to_first_step, describe_overhead
from tests.comparison.record_factory import make_record


def test_the_overhead_is_what_pods_take_longer_until_the_first_step() -> None:
    here = make_record("single")
    there = replace(here, queue_seconds=here.queue_seconds + 2.5)
    only_there = make_record("all-reduce-2w")
    *_, row = describe_overhead([there, only_there], [here]).splitlines()
    pods, processes = count_seconds_to_first_step(there), count_seconds_to_first_step(here)
    assert row == f"| single | {there.queue_seconds:.1f} | {pods:.1f} | {processes:.1f} | 2.5 |"
