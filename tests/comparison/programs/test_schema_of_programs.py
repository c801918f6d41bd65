import re
from dataclasses import fields
from pathlib import Path

from comparison.programs import ProgramTrial

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas.md"


def test_the_written_schema_lists_the_fields_of_a_record_in_their_order() -> None:
    section = SCHEMAS.read_text(encoding="utf-8").partition("## `trial.json`")[2]
    (listed,) = re.findall(r"```text\n(.*?)```", section.partition("\n## ")[0], flags=re.DOTALL)

    assert re.split(r",\s*", listed.strip()) == [field.name for field in fields(ProgramTrial)]
