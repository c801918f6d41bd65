from dataclasses import replace

import pytest

from comparison.programs import (
    ProgramTrial,
    analyze_programs,
    render_program_report,
)
from comparison.programs.tables import format_table
from comparison.records import RunInfo
from comparison.texts import speak
from tests.comparison.programs.answers import analyze, change, recommend
from tests.comparison.programs.program_factory import (
    close_gaps,
    make_program_info,
    make_program_run,
    make_silent,
    make_trial,
)


def grow(trial: ProgramTrial) -> ProgramTrial:
    """Of a program that gives each worker a batch of its own for a fixed number of steps."""
    examples = 64_000.0 * trial.num_workers
    rate = examples / (trial.train_seconds or 1.0)
    return replace(trial, examples=examples, examples_per_second=rate, global_batch_size=64 * trial.num_workers)


def cut(trial: ProgramTrial) -> ProgramTrial:
    return replace(trial, was_cut=True)


def test_a_program_that_tells_all_is_compared_by_its_training_time() -> None:
    analysis = analyze(make_program_run())

    assert analysis.verdict.startswith(
        "By training time, distributing pays off here: 4 workers trained 2.98× as fast as 1 worker (95 % interval "
    )
    assert analysis.verdict.endswith(
        "It is faster from 2 workers on, of those measured; recommended: 4 workers, the fastest; one worker with "
        "what all have together, which might do as well, was not measured."
    )
    assert recommend(analysis) | {"reasons": []} == {
        **recommend(analysis),
        "answer": "pays_off",
        "configuration": "workers-4",
        "basis": "training",
        "is_fair": True,
        "recommended_workers": 4,
        "pays_off_from_workers": 2,
        "work_ratio": 1.0,
        "reasons": [],
    }


def test_of_the_one_worker_that_has_what_all_have_the_answer_says_that_it_was_not_measured() -> None:
    pair = make_program_run({1: 60.0, 2: 33.0})
    unlimited = change(pair, lambda trial: replace(trial, cpus_per_replica=None))
    slower = make_program_run({1: 60.0, 2: 90.0})
    missing = "One worker with what all have together, which might do as well, was not measured."

    assert [missing in analyze(trials).verdict for trials in (pair, unlimited, slower)] == [True, False, False]
    assert missing in analyze(change(unlimited, lambda trial: replace(trial, gpus_held=trial.num_workers))).verdict


def test_a_program_that_tells_nothing_is_compared_by_its_whole_jobs_and_the_first_words_say_so() -> None:
    analysis = analyze(change(make_program_run(), make_silent))

    assert analysis.verdict.startswith(
        "By whole jobs (since no trial tells its training time) and for speed alone, distributing pays off here: "
        "4 workers ran 2.32× as fast as 1 worker"
    )
    answer = recommend(analysis)
    assert (answer["speedup"], answer["level"], answer["metric"]) == (None, 0, None)
    assert answer["whole_job_speedup"]["value"] == pytest.approx(2.32, abs=0.01)
    assert {row.speedup for row in analysis.rows} == {None}


def test_where_the_work_grows_with_the_workers_examples_a_second_are_compared() -> None:
    analysis = analyze(change(make_program_run({1: 60.0, 2: 66.0}), grow))

    assert analysis.verdict.startswith(
        "By images a second (since the trainings did not do the same work), distributing pays off here: 2 workers "
        "processed 1.8"
    )
    assert "the whole job, with 2.00× the work, 0.92×" in analysis.verdict
    assert "not a fair comparison" not in analysis.verdict
    assert recommend(analysis)["work_ratio"] == pytest.approx(2.0)
    assert recommend(analysis)["cost"]["core_seconds_ratio"] is None


def test_trainings_that_were_cut_are_compared_by_examples_a_second_and_their_jobs_by_nothing() -> None:
    analysis = analyze(change(make_program_run(), cut))

    assert analysis.verdict.startswith("By images a second (since trainings were cut), distributing pays off here")
    assert "not judged (the trainings were cut)" in analysis.verdict
    assert "whole job" not in analysis.verdict
    assert recommend(analysis)["whole_job_speedup"] is None
    assert {row.whole_job_speedup for row in analysis.rows} == {None}


@pytest.mark.parametrize("is_silent", [True, False])
def test_the_runs_first_job_that_fetched_what_the_others_found_is_told(is_silent: bool) -> None:
    def fetch(trial: ProgramTrial) -> ProgramTrial:
        late = 40.0 if trial.place == 1 else 0.0
        told = make_silent(trial) if is_silent else trial
        return replace(
            told,
            job_seconds=told.job_seconds + late,
            total_seconds=told.total_seconds + late,
            ended_at=told.ended_at + late,
        )

    warnings = analyze(change(make_program_run(), fetch)).warnings

    assert (
        "single: the whole job of trial 1 took 1.56× as long as the other trials let expect, which their noise does "
        "not explain. It is not left out. It was the run's first, which may have fetched what the others found."
    ) in warnings
    assert not [own for own in analyze(make_program_run()).warnings if "whole job of trial 1" in own]


def test_a_training_that_took_longer_than_noise_explains_is_told_once() -> None:
    def slow(trial: ProgramTrial) -> ProgramTrial:
        return make_trial(2, 2, 45.0, place=trial.place) if (trial.num_workers, trial.round) == (2, 2) else trial

    warnings = analyze(change(make_program_run(), slow)).warnings

    told = [own for own in warnings if "let expect" in own]
    assert len(told) == 1
    assert told[0].startswith("workers-2: trial 2 trained 1.3")


def test_rounds_that_were_planned_and_are_not_there_leave_no_answer() -> None:
    trials = make_program_run()
    whole = [*trials, make_trial(1, 4, 60.0, place=10, round=3)]
    named = change(whole, lambda trial: replace(trial, baseline="single-tf-config"))
    named = change(named, lambda trial: replace(trial, configuration="single-tf-config"), 1)

    def plan_as(run: list[ProgramTrial], number: int) -> RunInfo:
        info = make_program_info(run)
        # The plan names the baseline before it is known how it runs.
        rows = [{"name": "single", "workers": 1}, *info.configurations[1:]]
        return replace(info, parameters={**info.parameters, "trials": number}, configurations=rows)

    told = [
        analyze_programs(run, plan_as(run, number)) for run, number in ((close_gaps(whole), 3), (named, 3), (trials, 5))
    ]

    assert [own.given.kind for own in told] == ["pays_off", "pays_off", "no_answer"]
    assert "rules of a fair comparison are broken (every planned trial there)" in told[2].verdict


def test_one_silent_trial_makes_whole_jobs_the_basis_of_all_rows() -> None:
    trials = make_program_run()
    analysis = analyze([*trials[:-1], make_silent(trials[-1])])

    assert analysis.verdict.startswith("By whole jobs (since 1 trial tells no training time),")
    assert {row.basis for row in analysis.rows} == {"whole_job"}


def test_steps_alone_decide_nothing_for_a_step_may_take_more_examples_with_more_workers() -> None:
    def tell_steps(trial: ProgramTrial) -> ProgramTrial:
        return replace(cut(trial), examples=None, examples_per_second=None, unit="steps", global_batch_size=None)

    analysis = analyze(change(make_program_run(), tell_steps))

    assert analysis.verdict.startswith(
        "By steps a second (since trainings were cut, and how many examples a step takes is not told), no answer about "
        "4 workers: it makes 2.98× (2.80–3.17) as many steps a second, and whether a step takes more examples"
    )
    assert "--batch-size-per-replica" in analysis.verdict
    assert recommend(analysis)["answer"] == "no_answer"


def test_what_is_compared_by_steps_a_second_has_them_in_the_table_and_the_steps_that_were_timed() -> None:
    def tell_steps(trial: ProgramTrial) -> ProgramTrial:
        return replace(cut(trial), examples=None, examples_per_second=None, unit="steps", global_batch_size=None)

    analysis = analyze(change(make_program_run(), tell_steps))
    table = format_table(analysis.rows, analysis.case.measure, analysis.metric)
    cells = dict(zip(table.columns, table.rows[0], strict=True))

    assert (cells["configuration"], cells["steps"]) == ("single", "1,000")
    assert float(cells["steps/s"].split()[0]) == pytest.approx(1_000 / 60, rel=0.02)
    page = render_program_report(analysis)
    assert page.count("steps/s</th>") == 3


def test_as_many_steps_with_more_workers_are_told_where_nothing_says_what_a_step_takes() -> None:
    def tell_steps(trial: ProgramTrial) -> ProgramTrial:
        return replace(trial, examples=None, examples_per_second=None, unit="steps", global_batch_size=None)

    analysis = analyze(change(make_program_run(), tell_steps))

    assert analysis.verdict.startswith("By whole jobs (since not every trial tells how much work it did)")
    assert any("if each worker has a batch of its own, the work grew" in warning for warning in analysis.warnings)


def test_a_batch_of_a_worker_makes_steps_an_amount_of_work() -> None:
    def tell_batch(trial: ProgramTrial) -> ProgramTrial:
        unknown = replace(trial, examples=None, examples_per_second=None, unit="steps", global_batch_size=None)
        return replace(unknown, per_replica_batch_size=32)

    analysis = analyze(change(make_program_run({1: 60.0, 2: 66.0}), tell_batch))

    assert analysis.verdict.startswith("By examples a second (since the trainings did not do the same work)")
    assert analysis.rows[0].examples == 32_000


def test_warm_ups_of_different_lengths_are_no_different_work() -> None:
    def warm_up(trial: ProgramTrial) -> ProgramTrial:
        steps = 1_000 if trial.num_workers == 1 else 900
        replicas = [replace(own, steps=1_010) for own in trial.replicas]
        seconds = (trial.train_seconds or 0.0) * steps / 1_000
        return replace(trial, steps=steps, examples=64.0 * steps, train_seconds=seconds, curve=[], replicas=replicas)

    analysis = analyze(change(make_program_run(), warm_up))

    assert analysis.verdict.startswith("By images a second (since warm-ups of different lengths are left out), dist")
    assert "the whole job 2.32×" in analysis.verdict
    assert "same number of examples" not in [own.rule for own in analysis.findings if own.status == "violated"]


def test_what_is_counted_near_the_ends_of_the_clock_is_no_other_work() -> None:
    def count_late(trial: ProgramTrial) -> ProgramTrial:
        workers = trial.num_workers
        replicas = [replace(own, steps=1_010, examples=64_640.0 / workers) for own in trial.replicas]
        return replace(trial, examples=64_000.0 / workers**0.2, examples_per_second=None, replicas=replicas)

    analysis = analyze(change(make_program_run(), count_late))

    assert analysis.verdict.startswith("By images a second (since warm-ups of different lengths are left out)")
    assert recommend(analysis)["work_ratio"] == pytest.approx(1.0)


def test_a_single_round_decides_nothing() -> None:
    analysis = analyze(make_program_run(rounds=1))

    assert "nothing is decided by a single trial: 4 workers trained 2.9" in analysis.verdict
    assert recommend(analysis)["next_step"] == "tfjob-speedup run --trials 3"
    assert recommend(analysis)["speedup"]["low"] is None


def test_what_noise_hides_is_not_distinguishable() -> None:
    analysis = analyze(make_program_run({1: 60.0, 2: 60.3}))

    assert "nothing is distinguishable: 2 workers trained" in analysis.verdict
    assert analysis.given.recommended is None


def test_a_slower_row_does_not_pay_off_and_the_baseline_is_recommended() -> None:
    analysis = analyze(make_program_run({1: 60.0, 2: 80.0}))

    assert "distributing does not pay off here: 2 workers trained 0.7" in analysis.verdict
    assert (analysis.given.recommended, analysis.given.fastest) == ("single", ["single"])


def test_a_start_up_that_eats_the_gain_is_told() -> None:
    def start_slowly(trial: ProgramTrial) -> ProgramTrial:
        more = 15.0 * trial.num_workers
        job, total, end = trial.job_seconds + more, trial.total_seconds + more, trial.ended_at + more
        return replace(trial, job_seconds=job, total_seconds=total, ended_at=end)

    analysis = analyze(change(make_program_run({1: 60.0, 2: 55.0}), start_slowly))

    assert "distributing pays off here in training time only" in analysis.verdict


def test_the_fewest_workers_are_recommended_of_those_that_are_not_told_apart() -> None:
    analysis = analyze(make_program_run({1: 60.0, 2: 33.0, 4: 32.9}))

    assert analysis.given.fastest == ["workers-2", "workers-4"]
    assert recommend(analysis)["recommended"] == "workers-2"
    assert "recommended: 2 workers, the fewest of those that may be the fastest" in analysis.verdict


def test_from_how_many_workers_on_it_pays_off_leaves_out_what_is_slower() -> None:
    analysis = analyze(make_program_run({1: 60.0, 2: 70.0, 4: 30.0, 8: 20.0}))

    assert analysis.given.pays_off_from == 4


def test_a_baseline_that_is_not_a_single_worker_is_named_as_what_it_is_in_every_place() -> None:
    def name(trial: ProgramTrial) -> ProgramTrial:
        row = f"workers-{trial.num_workers}-ps-1"
        return replace(trial, configuration=row, baseline="workers-1-ps-1")

    trials = [
        name(make_trial(workers, number, seconds, num_ps=1, place=place))
        for place, (number, workers, seconds) in enumerate(
            [(1, 1, 60.0), (1, 2, 33.0), (2, 2, 33.0), (2, 1, 60.0)], start=1
        )
    ]
    analysis = analyze(trials)

    assert "as fast as the smallest job that runs, 1 worker and 1 server (" in analysis.verdict
    assert "All is compared with 1 worker and 1 server, the smallest that runs" in " ".join(analysis.warnings)
    assert "not a fair comparison" not in analysis.verdict
    assert recommend(analysis)["baseline"]["replicas"] == "1 worker and 1 server"


def test_what_trains_beside_workers_is_named() -> None:
    def lead(trial: ProgramTrial) -> ProgramTrial:
        chief = replace(trial.replicas[0], name="chief-0", type="chief")
        return replace(trial, replicas=[chief, *trial.replicas])

    analysis = analyze(change(make_program_run({1: 60.0, 2: 33.0}), lead))

    assert "1 chief, 2 workers trained" in analysis.verdict
    assert "as fast as the smallest job that runs, 1 chief, 1 worker (" in analysis.verdict


def test_a_planned_row_without_any_trial_is_what_the_answer_is_about() -> None:
    trials = [own for own in make_program_run() if own.num_workers != 4]
    verdict = analyze_programs(trials, make_program_info()).verdict

    assert verdict.startswith(
        "By training time, no answer about 4 workers: none of its planned trials is there. Of the"
    )


def test_without_a_trial_of_the_baseline_there_is_no_answer() -> None:
    analysis = analyze([own for own in make_program_run() if own.num_workers != 1])

    assert "no answer, because of the baseline that all is compared with: none of its trials is there" in (
        analysis.verdict
    )
    assert recommend(analysis)["baseline"] is None


def test_a_baseline_alone_has_no_answer() -> None:
    verdict = analyze(make_program_run({1: 60.0})).verdict

    assert verdict == "By training time, no answer: nothing beside the baseline was measured."


def test_pods_of_one_node_say_little_about_several() -> None:
    def place(trial: ProgramTrial) -> ProgramTrial:
        replicas = [replace(own, node="node-1") for own in trial.replicas]
        return replace(trial, backend="kubernetes", image="a:1", image_digest="sha256:1", replicas=replicas)

    def spread(trial: ProgramTrial) -> ProgramTrial:
        replicas = [replace(own, node=f"node-{own.index}") for own in trial.replicas]
        return replace(place(trial), replicas=replicas)

    assert "in pods of one node, which says little about several" in analyze(change(make_program_run(), place)).verdict
    assert "in pods of several nodes" in analyze(change(make_program_run(), spread)).verdict


def test_the_answer_is_chinese_where_that_is_spoken() -> None:
    with speak("zh"):
        verdict = analyze(make_program_run()).verdict

    assert verdict.startswith("按训练时间计，分布式训练在此合算：4 个工作节点的训练速度是")
