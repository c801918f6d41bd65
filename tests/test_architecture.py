import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "pipeline" / "golden" / "pipeline.yaml"
LIBRARIES = ("tfjob", "model", "comparison", "program")
PACKAGES = ("pipeline", "components", *LIBRARIES)
OTHERS = ("benchmarks", "examples", "tests")
MAY_IMPORT = {
    "pipeline": {"pipeline", "components", "tfjob.launcher"},
    "components": {"components", *LIBRARIES},
    **{library: {library} for library in LIBRARIES},
}
ONLY_IN = {
    "tensorflow": {"model"},
    "keras": {"model"},
    "kubernetes": {"tfjob"},
    "kubeflow": {"tfjob"},
    "kfp": {"pipeline", "components"},
}
# What a target of the Makefile runs in an environment of its own, with libraries that this project does not need.
IN_OTHER_ENVIRONMENTS = ("benchmarks/contestant_pytorch.py",)
# What is copied beside a person's program, which imports it there.
COPIED = "program.helper.tfjob_speedup_progress"
# The floors of each package, from the ground up: its modules, and its wings with a slash. What stands on a floor may
# import from the floors below it and, where it is a wing, within itself.
FLOORS: dict[str, tuple[str, ...]] = {
    "components": (
        "errors image",
        "planning/",
        "trials/",
        "comparison_files",
        "clean_up compare evaluate plan_comparison prepare_data study_depth train",
    ),
    "pipeline": (
        "form results shell streams",
        "live_output",
        "speedup",
        "compile steps",
        "local/ remote/",
        "upload",
        "run",
        "command",
    ),
    "tfjob": (
        "errors lines signs",
        "launcher/ spec",
        "job policy",
        "backend settings/",
        "blame job_run manifest own/",
        "cluster/ local/",
        "launch preflight/",
    ),
    "comparison": (
        "quality/ statistics/ streams texts",
        "records/",
        "clocks page/",
        "groups",
        "accuracies cost summary",
        "table",
        "audit/ environment",
        "depth_study/ forecast/",
        "power/ report/",
        "compare programs/",
        "__main__",
    ),
    "model": (
        "streams",
        "errors files",
        "frameworks host objectives",
        "data/ networks/",
        "training/",  # no TensorFlow up to here
        "plan strategies/",
        "evaluate",
        "depth_study prepare train",
    ),
    "program": (
        "errors lines measurement metric_names replicas told",
        "expressions/ files/ marks presets/",
        "helper/ settings tally",
        "clock metrics",
        "listener",
    ),
}


def find_modules() -> dict[str, Path]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


MODULES = find_modules()
PROVIDERS = packages_distributions()


@functools.cache
def list_imports(path: Path) -> set[str]:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are absolute"
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return imported


def list_packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in list_imports(path)}


def is_within(imported: str, allowed: set[str]) -> bool:
    return any(f"{imported}.".startswith(f"{module}.") for module in allowed)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_in_the_direction_of_the_design(name: str) -> None:
    allowed = MAY_IMPORT[name.partition(".")[0]]
    misplaced = [
        imported
        for imported in list_imports(MODULES[name])
        if imported.partition(".")[0] in PACKAGES and not is_within(imported, allowed)
    ]
    assert misplaced == []


def name_room(module: str) -> str:
    """Returns where in its package a module is: its own name, or that of its wing with a slash."""
    package, _, rest = module.partition(".")
    room = rest.partition(".")[0]
    return f"{room}/" if (ROOT / package / room).is_dir() and room else room


def find_module(imported: str) -> str:
    """Returns the module, or the wing, of an imported name."""
    while imported not in MODULES and f"{imported}.__init__" not in MODULES and "." in imported:
        imported = imported.rpartition(".")[0]
    return imported


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_of_a_package_has_a_floor(package: str) -> None:
    rooms = {name_room(name) for name in MODULES if name.startswith(f"{package}.")} - {"__init__"}
    assert rooms == {room for floor in FLOORS[package] for room in floor.split()}


def read_diagram() -> dict[str, list[list[str]]]:
    """Returns the rooms that docs/architecture.md draws on each line of a package, from the top down."""
    diagram: dict[str, list[list[str]]] = {}
    package = ""
    text = (ROOT / "docs" / "architecture.md").read_text().partition("```text\n")[2].partition("```")[0]
    for line in filter(None, text.splitlines()):
        package = line[:16].strip(" /") or package
        diagram.setdefault(package, []).append(re.split(r"  +", line[16:])[0].split(" · "))
    return diagram


@pytest.mark.parametrize("package", FLOORS)
def test_the_architecture_is_drawn_as_it_is(package: str) -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms.split()}
    drawn = read_diagram()[package]
    assert sorted(room for line in drawn for room in line) == sorted(floor_of)
    floors = [{floor_of[room] for room in line} for line in drawn]
    assert all(len(floor) == 1 for floor in floors)
    assert [min(floor) for floor in floors] == sorted((min(floor) for floor in floors), reverse=True)


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] in FLOORS])
def test_a_module_imports_only_from_floors_below(name: str) -> None:
    package = name.partition(".")[0]
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms.split()}
    room = name_room(name)
    upwards = [
        imported
        for imported in map(find_module, list_imports(MODULES[name]))
        if imported.startswith(f"{package}.")
        and name_room(imported) != room
        and floor_of[name_room(imported)] >= floor_of[room]
    ]
    assert upwards == []


@pytest.mark.parametrize("name", MODULES)
def test_a_wing_is_entered_by_its_door(name: str) -> None:
    through_windows = []
    for imported in map(find_module, list_imports(MODULES[name])):
        wing = imported.rpartition(".")[0]  # which may be a wing of a wing
        if "." in wing and wing.partition(".")[0] in PACKAGES and not name.startswith(f"{wing}."):
            through_windows.append(imported)
    assert through_windows == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.endswith("__init__")])
def test_a_door_lets_out_only_what_is_there_and_what_somebody_takes(name: str) -> None:
    body = ast.parse(MODULES[name].read_text()).body
    assigned = {ast.unparse(node.targets[0]): node.value for node in body if isinstance(node, ast.Assign)}
    exports = set(ast.literal_eval(assigned.get("__all__", ast.List(elts=[]))))
    there = {imported.rpartition(".")[2] for imported in list_imports(MODULES[name])} | {*assigned}
    assert exports <= there | {node.name for node in body if isinstance(node, ast.FunctionDef)}
    wing, folder = name.removesuffix(".__init__"), MODULES[name].parent
    outside = (path for part in (*PACKAGES, *OTHERS) for path in (ROOT / part).rglob("*.py"))
    taken = {imported for path in outside if folder not in path.parents for imported in list_imports(path)}
    assert {f"{wing}.{export}" for export in exports} <= taken


@pytest.mark.parametrize("name", MODULES)
def test_each_library_is_imported_where_it_belongs(name: str) -> None:
    misplaced = [
        library
        for library in list_packages(MODULES[name]) & ONLY_IN.keys()
        if name.partition(".")[0] not in ONLY_IN[library]
    ]
    assert misplaced == []


def list_declared(*groups: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = project["project"]["dependencies"] + [
        requirement for group in groups for requirement in project["dependency-groups"][group]
    ]
    return {canonical_name(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


def canonical_name(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize(
    ("folder", "groups"), [*((package, ()) for package in PACKAGES), *((folder, ("dev",)) for folder in OTHERS)]
)
def test_every_library_that_is_imported_is_declared(folder: str, groups: tuple[str, ...]) -> None:
    paths = set((ROOT / folder).rglob("*.py")) - {ROOT / path for path in IN_OTHER_ENVIRONMENTS}
    imported = {name for path in paths for name in list_packages(path)}
    libraries = imported - sys.stdlib_module_names - {*PACKAGES, *OTHERS}
    if folder == "benchmarks":
        libraries -= {"torch"}  # a peer, in an environment of its own: `make bench-peers`
    if folder in ("examples", "tests"):
        libraries -= {"tfjob_speedup_progress"}  # the launcher puts the helper on a program's path
    declared = list_declared(*groups)
    undeclared = [
        library for library in libraries if declared.isdisjoint(map(canonical_name, PROVIDERS.get(library, ())))
    ]
    assert sorted(undeclared) == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(("components.", "pipeline."))])
def test_kfp_finds_annotations_and_no_strings(name: str) -> None:
    assert "__future__.annotations" not in list_imports(MODULES[name])


def test_every_module_is_a_program_or_used_by_one() -> None:
    reached: set[str] = set()
    waiting = [name for name, path in MODULES.items() if 'if __name__ == "__main__":' in path.read_text()]
    while waiting:
        name = waiting.pop()
        if f"{name}.__init__" in MODULES:  # a wing's door
            name = f"{name}.__init__"
        if name in MODULES and name not in reached:
            reached.add(name)
            waiting += list_imports(MODULES[name])
    modules = {name for name in MODULES if not name.endswith("__init__")} - {COPIED}
    assert modules - reached == set()


@pytest.mark.parametrize("path", [*MODULES.values(), GOLDEN], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_machines_own_path_is_written_down(path: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|root|home|Users)/\S*", path.read_text()) == []
    assert sys.prefix not in path.read_text()


def test_what_opens_a_browser_is_where_make_looks_for_it() -> None:
    marked = {path.parent for path in (ROOT / "tests").rglob("test_*.py") if "mark.browser" in path.read_text()}
    (command,) = re.findall(r"pytest .*-m browser (.*)", (ROOT / "Makefile").read_text())
    assert marked - {Path(__file__).parent} == {ROOT / command}
