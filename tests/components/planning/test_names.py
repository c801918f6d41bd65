import json
from pathlib import Path
from typing import Any

import pytest

from comparison.records import RecordError
from components.planning.names import check_name, list_trials, name_trial, read_launched
from components.planning.parameters import Parameters
from components.planning.plan import RunPlan, plan_run

LEADS_ELSEWHERE = [
    "",
    ".",
    "..",
    "../../outside",
    "/etc",
    "a/b",
    "a\\b",
    "a\0b",
    "a\n",
    ".hidden",
    "-r",
    "a" * 200,
    "ä",
    7,
    None,
]


@pytest.mark.parametrize("name", ["single", "all-reduce-2w", "parameter-server-2w-1ps", "20261127-1.2_a"])
def test_a_name_is_that_of_a_file(name: str) -> None:
    assert check_name("it", name) == name


@pytest.mark.parametrize("name", LEADS_ELSEWHERE)
def test_a_name_that_leads_elsewhere_is_refused(name: Any) -> None:
    with pytest.raises(RecordError, match=r"^it must be a name of letters"):
        check_name("it", name)


@pytest.mark.parametrize("trial", [-1, 10**6, True, 1.0, "1", "/../../outside", None])
def test_a_trial_is_a_number(tmp_path: Path, trial: Any) -> None:
    (tmp_path / "launch.json").write_text(json.dumps({"configuration": "single", "trial": trial}))
    with pytest.raises(RecordError, match=r"trial in .*launch\.json must be the number of a trial"):
        read_launched(tmp_path)
    with pytest.raises(RecordError, match="must be the number of a trial"):
        name_trial("single", trial)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"configuration": "..", "trial": 1}', "[" * 100_000])
def test_a_trial_that_does_not_say_which_it_is_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "launch.json").write_text(content)
    with pytest.raises(RecordError):
        read_launched(tmp_path)


def test_a_plan_whose_names_lead_elsewhere_is_refused(tmp_path: Path) -> None:
    plan_run("1", Parameters()).write(tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(text.replace('"all-reduce-2w"', '"../../outside"'))
    with pytest.raises(RecordError, match=r"a configuration's name in .* must be a name"):
        RunPlan.read(tmp_path / "run.json")


def test_trials_are_found_below_several_folders_and_unfinished_ones_are_not(tmp_path: Path) -> None:
    for name in ("b/all-reduce-2w", "b/all-reduce-4w", "a/single"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "launch.json").touch()
    (tmp_path / "a" / "unfinished" / "logs").mkdir(parents=True)
    found = list_trials([tmp_path / "a", tmp_path / "b", tmp_path / "missing"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a/single", "b/all-reduce-2w", "b/all-reduce-4w"]
