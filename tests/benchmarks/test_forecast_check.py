import pytest

from benchmarks.forecast_check import WORKERS, check_forecast, main


def test_a_third_number_of_workers_makes_the_line_far_better() -> None:
    from_two, from_four = (
        check_forecast("strong", noise=0.02, fitted=fitted, simulations=8) for fitted in ((1, 2), (1, 2, 4))
    )

    for two, four in list(zip(from_two, from_four, strict=True))[2:]:
        assert four.median_error < two.median_error / 2
    assert all(own.coverage >= 0.75 for own in [*from_two, *from_four])


def test_the_line_is_good_where_it_was_measured_and_the_worse_the_further_away() -> None:
    near, *_, far = check_forecast("weak", noise=0.02, simulations=8)

    assert near.median_error < 0.02
    assert far.median_error > 5 * near.median_error


def test_the_program_prints_a_row_for_each_scaling_noise_and_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(1) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 + 8
    assert all(line.count("|") == len(WORKERS) + 4 for line in lines[2:])
