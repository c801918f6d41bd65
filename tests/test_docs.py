import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from comparison.programs.record import ProgramTrial
from comparison.records import TrialRecord
from components.planning.parameters import Parameters

ROOT = Path(__file__).parents[1]
LISTED = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
if LISTED.returncode:
    pytest.skip("not a checkout: git does not say which pages are the project's", allow_module_level=True)
# Golden pages are what the program prints: nobody writes or wraps them.
PAGES = [name for name in LISTED.stdout.split("\0") if name and "golden" not in Path(name).parts]
OWN_PACKAGES = ("pipeline", "components", "tfjob", "model", "comparison", "benchmarks", "tests")
MAX_LINE_LENGTH = 120
FENCE = re.compile(r"\s*(```|~~~)")
HEADING = re.compile(r" {0,3}#{1,6}\s+(?P<title>.*?)\s*#*\s*$")
TABLE_ROW = re.compile(r"\s*\|")
# What a line cannot be broken in: inline code, a link or an image. Outside of them a blank can become a line's end.
UNBREAKABLE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|!?\[[^\]]*\]\([^)]*\)")
MARKERS = re.compile(r"\s*(?:>\s+|[-*+]\s+|\d+\.\s+)*")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
COMMAND = re.compile(r"(?<![\w.-])python(?:3[.\d]*)? -m (?P<module>[\w.]+)")
IMPORT = re.compile(rf"^from (?P<module>(?:{'|'.join(OWN_PACKAGES)})[\w.]*) import \w", re.MULTILINE)
MAIN_GUARD = re.compile(r"^if __name__ == \"__main__\":$", re.MULTILINE)


def split_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines outside of fenced code, with their numbers."""
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := FENCE.match(line):
            fence = "" if fence == match[1] else fence or match[1]
        elif not fence:
            yield number, line


def can_be_broken(line: str) -> bool:
    return " " in UNBREAKABLE.sub("_", MARKERS.sub("", line, count=1)).strip()


def list_long_lines(text: str) -> list[int]:
    return [
        number
        for number, line in split_prose(text)
        if len(line) > MAX_LINE_LENGTH
        and not (HEADING.match(line) or TABLE_ROW.match(line) or line.startswith("!["))
        and can_be_broken(line)
    ]


def make_slug(title: str) -> str:
    """Returns the anchor that GitHub gives a heading: without markup and punctuation, lower case, blanks as hyphens."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    plain = re.sub(r"(?<!\w)(\*{1,3}|_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", plain)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def list_anchors(text: str) -> set[str]:
    anchors: set[str] = set()
    counts: dict[str, int] = {}
    for _, line in split_prose(text):
        if match := HEADING.match(line):
            slug = make_slug(match["title"])
            repeats = counts.get(slug, 0)
            counts[slug] = repeats + 1
            anchors.add(f"{slug}-{repeats}" if repeats else slug)
    return anchors


def list_links(text: str) -> list[str]:
    prose = CODE.sub(lambda code: "_" * len(code[0]), "\n".join(line for _, line in split_prose(text)))
    targets = [match["target"] for match in LINK.finditer(prose)]
    return [target for target in targets if not re.match(r"[a-z][a-z+.-]*:", target)]


def find_fault(page: Path, target: str) -> str | None:
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    if not file.exists():
        return f"{target}: there is no such file"
    if anchor and anchor not in list_anchors(file.read_text(encoding="utf-8")):
        return f"{target}: there is no such heading"
    return None


def list_modules() -> dict[str, list[str]]:
    """Returns the modules of this project that a page runs with `python -m`, and the pages that do."""
    modules: dict[str, list[str]] = {}
    for page in PAGES:
        for match in COMMAND.finditer(" ".join((ROOT / page).read_text(encoding="utf-8").split())):
            module = match["module"].rstrip(".")
            if module.partition(".")[0] in OWN_PACKAGES and page not in modules.setdefault(module, []):
                modules[module].append(page)
    return modules


def find_program(module: str) -> Path | None:
    """Returns the file that `python -m` runs: the module's own, or a package's `__main__`."""
    try:
        spec = find_spec(module)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{module}.__main__")
    except ModuleNotFoundError:  # a package above it is not there
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


MODULES = list_modules()


def test_the_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "manifests/README.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_no_line_of_prose_is_longer_than_120_characters(page: str) -> None:
    assert list_long_lines((ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading(page: str) -> None:
    targets = list_links((ROOT / page).read_text(encoding="utf-8"))
    assert [fault for target in targets if (fault := find_fault(ROOT / page, target))] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_that_the_docs_run_is_a_program(module: str) -> None:
    program = find_program(module)
    assert program is not None, f"{', '.join(MODULES[module])}: python -m {module} finds nothing"
    assert program.name == "__main__.py" or MAIN_GUARD.search(program.read_text(encoding="utf-8"))


def test_a_module_without_a_program_is_found_out() -> None:
    assert find_program("comparison") == ROOT / "comparison" / "__main__.py"
    assert find_program("tests.cluster") == ROOT / "tests" / "cluster" / "__main__.py"
    assert find_program("model") is None
    assert find_program("comparison.nothing") is None
    assert find_program("nothing.at_all") is None


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_the_docs_import_is_there(page: str) -> None:
    modules = [match["module"] for match in IMPORT.finditer((ROOT / page).read_text(encoding="utf-8"))]
    assert [module for module in modules if find_spec(module) is None] == []


SCHEMAS = (ROOT / "docs" / "schemas.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("heading", "record"), [("Trial record", TrialRecord), ("`trial.json`", ProgramTrial)])
def test_the_fields_of_a_record_are_those_of_its_schema(heading: str, record: type) -> None:
    listed = SCHEMAS.partition(f"## {heading}")[2].partition("```text\n")[2].partition("```")[0]
    assert sorted(listed.replace(",", " ").split()) == sorted(field.name for field in fields(record))


def test_the_names_of_the_forms_settings_are_those_of_their_schema() -> None:
    rows = SCHEMAS.partition("## `settings`")[2].partition("\n## ")[0].splitlines()
    listed = [name for row in rows if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    settings = [p.metadata["setting"] or p.name for p in fields(Parameters) if "setting" in p.metadata]
    assert sorted(listed) == sorted(settings)


LONG = "word " * 30
UNBROKEN = "x" * 130


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (LONG, [1]),
        (f"short\n- {LONG}", [2]),
        (f"> {LONG}", [1]),
        (f"see `{UNBROKEN}`", [1]),
        ("é" * 60 + " " + "é" * 59, []),
        (f"| {LONG} |", []),
        (f"## {LONG}", []),
        (f"```sh\n{LONG}\n```\n{LONG}", [4]),
        (f"```sh\n{LONG}\n~~~\n{LONG}\n```", []),
        (f"  `{LONG}`", []),
        (f"- [{LONG}](https://example.org)", []),
        (f"1. {UNBROKEN}", []),
    ],
)
def test_only_prose_that_could_be_broken_counts_as_too_long(text: str, lines: list[int]) -> None:
    assert list_long_lines(text) == lines


@pytest.mark.parametrize(
    ("text", "anchors"),
    [
        ("# Where to change what", {"where-to-change-what"}),
        ("### `schedule_seconds`, `pull_seconds`", {"schedule_seconds-pull_seconds"}),
        ("## `launch.json` — written by the step", {"launchjson--written-by-the-step"}),
        ("## False positives: A/A", {"false-positives-aa"}),
        ("### *other*, in the [report](a.md)", {"other-in-the-report"}),
        ("# Same\n# Same", {"same", "same-1"}),
        ("```sh\n# a comment\n```", set()),
    ],
)
def test_anchors_are_those_that_github_gives(text: str, anchors: set[str]) -> None:
    assert list_anchors(text) == anchors


def test_links_are_found_outside_of_code_and_over_two_lines() -> None:
    text = "[a\nb](a.md#b) ![c](c.png) `[d](d.md)` [e](https://example.org/e.md) [`f`](../f.py)\n[h](#i)"
    assert list_links(f"{text}\n```sh\n[g](g.md)\n```\n") == list_links(text)
    assert list_links(text) == ["a.md#b", "c.png", "../f.py", "#i"]


def test_a_missing_file_and_a_missing_heading_are_named(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# Here\n")
    assert find_fault(page, "#here") is None
    assert find_fault(page, "a.md#here") is None
    assert find_fault(page, "a.md#there") == "a.md#there: there is no such heading"
    assert find_fault(page, "b.md") == "b.md: there is no such file"
