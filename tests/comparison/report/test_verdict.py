from dataclasses import replace

import pytest

from comparison.groups import average_rounds
from comparison.records import TrialRecord
from comparison.report.analysis import analyze
from comparison.report.candidate import describe_configuration
from comparison.report.verdict import Answer, Kind
from tests.comparison.record_factory import delay, make_record, make_run, make_run_info
from tests.comparison.report.verdicts import DASH, SINGLE, TIMES, answer, judge, make_trials


def test_a_gain_in_training_and_in_the_whole_job_pays_off() -> None:
    found = answer(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5]))

    assert found.text == (
        f"Distributing pays off here: all-reduce with 2 workers trained resnet8 on mnist 1.62{TIMES} as fast as a "
        f"single node (95 % interval 1.59{DASH}1.66, n = 2 trials), the whole job 1.44{TIMES} (1.41{DASH}1.48), "
        "for 38 % more core-seconds, with the same weights, bit for bit (accuracy 99.00 %), "
        "in processes of one machine (16 cores, AMD EPYC)."
    )
    assert (found.kind, found.configuration) == (Kind.PAYS_OFF, "all-reduce-2w")
    assert found.cost is not None
    assert found.cost.core_seconds_ratio == pytest.approx(2 * 52.25 / 75.5)


@pytest.mark.parametrize(
    ("held", "told"), [(2, "for 38 % more GPU-seconds"), (1, "for 31 % fewer GPU-seconds"), (0, "more core-seconds")]
)
def test_of_gpus_the_seconds_of_gpus_are_what_it_costs(held: int, told: str) -> None:
    single = [replace(record, gpus_held=min(held, 1)) for record in SINGLE]
    pair = [replace(record, gpus_held=held) for record in make_trials("all-reduce-2w", [37.0, 37.5])]
    assert told in judge(single, pair)


def test_a_gain_that_start_up_eats_is_a_gain_in_training_time_only() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5], total_seconds=120.0))

    assert verdict.startswith("Distributing pays off here in training time only: all-reduce with 2 workers")
    assert f", the whole job 0.63{TIMES} (" in verdict


def test_a_whole_job_that_is_not_measurably_faster_is_said_to_be_so() -> None:
    slow = [
        make_record("all-reduce-2w", trial, 37.0 + trial, total_seconds=seconds)
        for trial, seconds in enumerate((66.0, 82.0))
    ]

    assert answer(SINGLE, slow).kind is Kind.TRAINING_ONLY
    assert "in training time only" in judge(SINGLE, slow)


def test_slower_training_does_not_pay_off() -> None:
    verdict = judge(SINGLE, make_trials("parameter-server-2w-1ps", [90.0, 91.0]))

    assert verdict.startswith(
        "Distributing does not pay off here: "
        f"parameter-server with 2 workers and 1 server trained resnet8 on mnist 0.67{TIMES} as fast as a single node"
    )


def test_noise_is_not_a_result() -> None:
    verdict = judge(make_trials("single", [60.0, 70.0]), make_trials("all-reduce-2w", [50.0, 60.2]))

    assert verdict.startswith("Not distinguishable: all-reduce with 2 workers trained resnet8 on mnist 1.18")


def test_single_trials_decide_nothing() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [30.0]))

    assert verdict.startswith("Not decided by a single trial: all-reduce with 2 workers trained resnet8 on mnist 2.02")
    assert "(n = 1 and 2 trials)" in verdict


def test_the_fastest_distributed_configuration_is_the_one_judged() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 38.0]), make_trials("all-reduce-4w", [20.0, 20.2]))

    assert "all-reduce with 4 workers" in verdict


def test_what_cannot_be_told_from_the_fastest_is_named_in_the_second_sentence() -> None:
    servers = make_trials("parameter-server-2w-1ps", [36.7, 37.6])
    equal = answer(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5]), servers)
    slower = answer(SINGLE, make_trials("all-reduce-2w", [30.0, 30.2]), servers)

    assert len(equal.sentences) == 2
    assert equal.configuration == "parameter-server-2w-1ps"
    assert equal.sentences[1].startswith(
        f"Not told apart from it as the fastest: all-reduce with 2 workers at 1.62{TIMES} ("
    )
    assert equal.fastest == ["all-reduce-2w", "parameter-server-2w-1ps"]
    assert "told apart" not in slower.text
    assert slower.fastest == ["all-reduce-2w"]


@pytest.mark.parametrize(("n_correct", "kind"), [(2969, "indistinguishable"), (3000, "higher")])
def test_the_accuracies_are_told_with_the_margin_that_the_trials_leave(n_correct: int, kind: str) -> None:
    fast = [make_record("all-reduce-2w", trial, 37.0 + trial, n_correct) for trial in range(2)]

    assert f"at {kind} accuracy ({n_correct / 30:.2f} % against 99.00 %, ± 0." in judge(SINGLE, fast)


def test_speed_at_the_cost_of_accuracy_is_no_gain() -> None:
    fast = [make_record("all-reduce-2w", trial, 37.0 + trial, 2850) for trial in range(2)]

    assert judge(SINGLE, fast) == (
        "No answer about all-reduce with 2 workers: its models are less accurate than the single node's "
        "(95.00 % against 99.00 %)."
    )


# The default run: three rounds, all-reduce well ahead of the parameter server.
THREE = make_trials("single", [60.0, 61.0, 60.5])
FAST = make_trials("all-reduce-2w", [42.0, 42.5, 42.2])
SLOW = make_trials("parameter-server-2w-1ps", [62.0, 62.8, 62.3])
INSTEAD = f"Of the others, parameter-server with 2 workers and 1 server trained 0.97{TIMES} ("


# From a trial's place in its round to the single node's, a little of which was still to come.
SHIFT = THREE[0].started_at - FAST[0].started_at


def plan_trials(*trials: list[TrialRecord], number: int = 3) -> Answer:
    """Returns the answer on what was planned as so many trials of each of the three configurations."""
    return analyze(
        [record for group in trials for record in group],
        make_run_info(parameters={"target_accuracy": 0.98, "trials": number}),
    ).answers["strong"]


def test_the_default_run_is_about_the_fastest_configuration() -> None:
    assert plan_trials(THREE, FAST, SLOW).configuration == "all-reduce-2w"


def test_a_trial_that_is_taken_out_does_not_change_the_subject() -> None:
    found = plan_trials(THREE, FAST[:2], SLOW)

    assert (found.kind, found.configuration) == (Kind.NO_ANSWER, "all-reduce-2w")
    assert found.sentences[0].startswith(
        "No answer about all-reduce with 2 workers: rules of a fair comparison are broken ("
    )
    assert "every planned trial there" in found.sentences[0]
    assert found.sentences[1].startswith(INSTEAD)
    assert found.speedup is None


def test_a_trial_whose_wall_clock_is_shifted_does_not_change_the_subject() -> None:
    found = plan_trials(THREE, [delay(FAST[0], 30.0 + SHIFT), *FAST[1:]], SLOW)

    assert (found.kind, found.configuration) == (Kind.NO_ANSWER, "all-reduce-2w")
    assert found.sentences[0].startswith("No answer")
    assert "no two trials at a time" in found.sentences[0]


def test_models_that_err_more_often_do_not_change_the_subject() -> None:
    careless = [replace(record, test_n_correct=(record.test_n_correct or 0) - 60) for record in FAST]

    found = plan_trials(THREE, careless, SLOW)

    assert (found.kind, found.configuration) == (Kind.NO_ANSWER, "all-reduce-2w")
    assert found.sentences[0] == (
        "No answer about all-reduce with 2 workers: its models are less accurate than the single node's "
        "(97.00 % against 99.00 %)."
    )
    assert found.sentences[1].startswith(INSTEAD)


def test_trials_without_a_time_do_not_change_the_subject() -> None:
    found = plan_trials(THREE, [replace(record, restarts=1) for record in FAST], SLOW)

    assert found.configuration == "all-reduce-2w"
    assert found.sentences[0] == (
        "No answer about all-reduce with 2 workers: "
        "none of its trials has a time, since they were restarted, resumed or taken over."
    )
    assert "only one of its 3 trials has a time" in (
        plan_trials(THREE, [FAST[0], *(replace(record, restarts=1) for record in FAST[1:])], SLOW).text
    )


def test_a_planned_configuration_of_which_nothing_is_there_does_not_change_the_subject() -> None:
    planned = [{"name": "all-reduce-4w", "strategy": "all_reduce", "num_workers": 4, "num_ps": 0}]

    found = answer(THREE, FAST, planned=planned)

    assert found.configuration == "all-reduce-4w"
    assert found.sentences[0] == "No answer about all-reduce with 4 workers: none of its planned trials is there."
    assert found.sentences[1].startswith(f"Of the others, all-reduce with 2 workers trained 1.43{TIMES} (")


def test_slower_trials_cannot_hide_that_the_faster_ones_were_taken_out() -> None:
    slow = make_trials("all-reduce-2w", [42.0, 90.0])

    assert plan_trials(THREE, slow, SLOW).configuration == "all-reduce-2w"


def test_a_slower_configuration_that_is_out_is_named_after_the_answer() -> None:
    found = plan_trials(THREE, FAST, SLOW[:2])

    assert (found.kind, found.configuration) == (Kind.PAYS_OFF, "all-reduce-2w")
    assert found.sentences[1].startswith("Nothing is said of parameter-server with 2 workers and 1 server: rules of")


def test_a_baseline_that_breaks_a_rule_leaves_neither_answer_nor_forecast() -> None:
    analysis = analyze([*THREE[:2], *FAST, *SLOW], make_run_info(parameters={"target_accuracy": 0.98, "trials": 3}))

    assert analysis.verdict.startswith("No answer, because of the single node that all is compared with: rules of")
    assert analysis.answers["strong"].configuration == "all-reduce-2w"
    assert (analysis.outlook, analysis.forecasts) == ("", [])


def test_an_answer_of_an_unfair_comparison_says_so() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5], cpus_per_replica=1.0, image="me/it:1"))

    assert verdict.startswith("Distributing pays off here: ")
    assert " It is not a fair comparison (broken: same image" in verdict


def test_accuracies_that_scatter_between_trials_are_not_distinguished() -> None:
    fast = [
        make_record("all-reduce-2w", trial, 37.0 + trial, n_correct) for trial, n_correct in enumerate((2940, 2980))
    ]

    assert "at indistinguishable accuracy" in judge(SINGLE, fast)


@pytest.mark.parametrize("n_correct", [(2800, 2950), (300, 2970), (2900, 2940)])
def test_a_training_that_goes_astray_does_not_make_worse_models_as_good(n_correct: tuple[int, int]) -> None:
    fast = [make_record("all-reduce-2w", trial, 37.0 + trial, own) for trial, own in enumerate(n_correct)]

    found = answer(SINGLE, fast)

    assert found.kind is Kind.NO_ANSWER
    assert "its models may be less accurate than the single node's (" in found.text
    assert found.text.endswith("against 99.00 %): too few trials to tell.")
    assert found.fastest == ()
    # The other way round nothing is hidden that a reader must fear.
    careless = [make_record("single", trial, 60.0 + trial, own) for trial, own in enumerate(n_correct)]
    assert answer(careless, make_trials("all-reduce-2w", [37.0, 37.5])).kind is Kind.PAYS_OFF


def test_two_baselines_of_a_round_are_one_value_of_it() -> None:
    first, second = (replace(make_record("single", trial, 60.0 + trial), round=1) for trial in (1, 3))
    other = make_record("single", 2, 70.0)

    values = average_rounds([first, other, second], lambda trial: trial.train_seconds)

    assert values == {("run-1", 1): 62.0, ("run-1", 2): 70.0}


def test_contended_timings_are_said_to_be_so() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5], contended=True))

    assert verdict.endswith(" The replicas shared too few cores, so that this says little about separate machines.")


def test_weak_scaling_is_about_throughput() -> None:
    double = make_trials("all-reduce-2w-weak", [37.0, 37.5])

    assert "all-reduce with 2 workers, training resnet8 on mnist, processed images 1.62" in judge(SINGLE, double)


def see(record: TrialRecord, images: int) -> TrialRecord:
    """Returns the record of a training of so many images, whose clocks are the same."""
    steps = images // record.global_batch_size
    return replace(
        record,
        images_seen=images,
        steps=steps,
        images_per_second=images / record.train_seconds,
        curve=[replace(point, step=steps * point.epoch // 2) for point in record.curve],
        step_seconds={name: seconds * record.steps / steps for name, seconds in record.step_seconds.items()},
    )


def test_a_whole_job_that_left_more_images_out_says_so() -> None:
    four = make_trials("all-reduce-4w-weak", [20.0, 20.4])

    # Of 1,000 images an epoch has 7 batches of 128, or 1 of 512.
    few = judge([see(record, 1_792) for record in SINGLE], [see(record, 1_024) for record in four])

    assert f"the whole job, of 0.57{TIMES} as many images, 2.14{TIMES} (" in few
    assert f"the whole job 2.14{TIMES} (" in judge(SINGLE, four)


def test_without_both_sides_there_is_no_answer() -> None:
    assert judge(SINGLE) == "No answer: no distributed training was measured."
    assert judge(make_trials("all-reduce-2w", [37.0])) == (
        "No answer about all-reduce with 2 workers: "
        "there is no single node with as many CPUs as a replica to compare with."
    )


def test_configurations_are_described_in_words() -> None:
    assert [describe_configuration(record) for record in make_run()[:3]] == [
        "a single node with 1 CPU",
        "all-reduce with 2 workers",
        "parameter-server with 2 workers and 1 server",
    ]


def test_the_verdict_is_about_several_workers_where_there_are_any() -> None:
    alone, two = make_trials("all-reduce-1w", [50.0, 50.5]), make_trials("all-reduce-2w", [58.0, 58.5])

    assert "all-reduce with 2 workers trained resnet8 on mnist 1.04" in judge(SINGLE, alone, two)
    assert "all-reduce with 1 worker trained resnet8 on mnist 1.20" in judge(SINGLE, alone)


def test_the_verdict_is_about_several_workers_even_where_their_models_are_worse() -> None:
    alone = make_trials("all-reduce-1w", [59.0, 59.5])
    careless = [make_record("all-reduce-2w", trial, 37.0 + trial, 2850) for trial in range(2)]

    assert judge(SINGLE, alone, careless).startswith(
        "No answer about all-reduce with 2 workers: its models are less accurate"
    )
