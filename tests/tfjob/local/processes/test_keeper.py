from tfjob.local.processes.keeper import read_groups


def test_groups_that_were_not_withdrawn_are_left() -> None:
    assert read_groups(["+10\n", "+11\n", "-10\n", "+12\n", "-99\n"]) == {11, 12}
