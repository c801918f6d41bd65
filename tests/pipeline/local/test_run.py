from pipeline.local.run import loops_one_by_one
from pipeline.speedup import speedup_pipeline
from pipeline.steps import read_spec


def test_on_this_machine_the_rounds_run_one_after_another_and_the_pipeline_stays_as_it_is() -> None:
    before = read_spec()
    with loops_one_by_one(speedup_pipeline.pipeline_spec):
        (graph,) = [
            c["dag"] for c in read_spec()["components"].values() if "for-loop-2" in c.get("dag", {}).get("tasks", {})
        ]
        assert graph["tasks"]["for-loop-2"]["iteratorPolicy"] == {"parallelismLimit": 1}
    assert read_spec() == before
