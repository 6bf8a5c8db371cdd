"""The rules of the house, as tests: what is packed, who imports whom, what a decision may touch, and form."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

import hms

ROOT = Path(__file__).parents[2]
LAYERS = ("package", "schemas", "core", "replay", "sdk", "actors", "console")
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K]|NotImplemente[d]Error)\b")
IMPURE_MODULES = re.compile(
    r"asyncio|builtins|concurrent|ctypes|duckdb|getpass|glob|http|io|locale|logging|multiprocessing|os|"
    r"pathlib|platform|psutil|queue|random|secrets|select|selectors|shutil|signal|socket|sqlite3|ssl|"
    r"structlog|subprocess|sys|tempfile|threading|time|urllib|uuid|zoneinfo"
)
IMPURE_PARTS = {"clock", "log", "client", "replay", "sdk", "new_id"}
"""Of our own: modules and names that read a clock, the log or a source of ids."""
IMPURE_BUILTINS = {"open", "print", "input", "eval", "exec", "hash", "id", "globals"}
IMPURE_METHODS = {"now", "utcnow", "today"}
FUNCTION_LINES_MAX, USUAL_FUNCTION_LINES_MAX, FILE_LINES_MAX = 70, 24, 400


class Source(NamedTuple):
    """A Python file: its path from the root and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)} {what}"


@cache
def tracked() -> tuple[str, ...]:
    """Return what git tracks; `safe.directory` because CI may run as another user than the one that checked out."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for path in listed.split("\0") if path and (ROOT / path).exists())


def sources(*folders: str) -> list[Source]:
    """Return the tracked Python files below these top-level folders."""
    paths = [path for path in tracked() if path.endswith(".py") and path.split("/")[0] in folders]
    return [Source(path, (ROOT / path).read_text(encoding="utf-8")) for path in paths]


def holds(offences: Iterable[str], rule: str) -> None:
    found = sorted(set(offences))
    assert not found, f"{rule}:\n  " + "\n  ".join(found)


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def called(node: ast.AST) -> str:
    """Return the last name of what a call calls (`now` of `datetime.now()`), "" for anything else."""
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
    return ""


def imported(node: ast.AST) -> Iterator[str]:
    """Yield every dotted name that an import statement brings in."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names):
            yield from (f"{module or ''}.{alias.name}".strip(".") for alias in names)


# The rules -----------------------------------------------------------------------------------------------------------


def long_functions(source: Source) -> Iterator[str]:
    for function in functions(source):
        if lines(function) > FUNCTION_LINES_MAX:
            yield source.at(function, f"{function.name} has {lines(function)} lines")


def is_behaviour(source: Source) -> bool:
    """Return whether the module decides for an actor: it has `decide` or `evolve`, or makes a `Behaviour(...)`."""
    owns = any(isinstance(node, ast.FunctionDef) and node.name in {"decide", "evolve"} for node in source.tree.body)
    makes = any(called(node) == "Behaviour" for node in ast.walk(source.tree))
    return source.path.startswith("actors/") and (owns or makes)


def impurities(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        for name in imported(node):
            ours = isinstance(node, ast.ImportFrom) and node.level > 0
            parts = set(name.split("."))
            if (ours and parts & IMPURE_PARTS) or (not ours and IMPURE_MODULES.fullmatch(name.split(".")[0])):
                yield source.at(node, f"imports {name}")
        impure_names = IMPURE_BUILTINS if isinstance(getattr(node, "func", None), ast.Name) else IMPURE_METHODS
        if called(node) in impure_names:
            yield source.at(node, f"calls {ast.unparse(node)}")


def beside(source: Source) -> Iterator[str]:
    """Yield the module files that a module takes names from, its effects' handlers apart: those are there to do I/O."""
    tree = source.tree
    effects = {id(name) for node in ast.walk(tree) if called(node) == "on" for name in ast.walk(node)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in effects}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = PurePosixPath(source.path).parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [alias.name for alias in node.names if (alias.asname or alias.name) in used]
            yield from (f"{module}.py" for module in [*([folder] if names else []), *(folder / name for name in names)])


def deciding(actors: dict[str, Source]) -> dict[str, Source]:
    """Return the modules of behaviours and all that they decide with, as far as it is in `actors/`."""
    found: dict[str, Source] = {}
    todo = [path for path, source in actors.items() if is_behaviour(source)]
    while todo:
        path = todo.pop()
        if path in actors and path not in found:
            found[path] = actors[path]
            todo.extend(beside(actors[path]))
    return found


def swallowed(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield source.at(node, "bare except")


def sleeps(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep":
            yield source.at(node, ast.unparse(node))
        if "time.sleep" in imported(node):
            yield source.at(node, ast.unparse(node))


def unfinished(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{source.path}:{number} {line.strip()}"


def undocumented(source: Source) -> Iterator[str]:
    """Yield a public module, and its public classes and functions, that say nothing."""
    if PurePosixPath(source.path).name.startswith("_") and not source.path.endswith("__init__.py"):
        return
    if not ast.get_docstring(source.tree):
        yield source.at(source.tree, "module without docstring")
    for node in source.tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("_") and not ast.get_docstring(node):
                    yield source.at(node, f"{name} without docstring")


def lone_files(paths: Iterable[str]) -> Iterator[str]:
    """Yield folders below the top-level ones that hold one thing; `__init__.py` is the folder itself."""
    held = defaultdict(set)
    for path in map(PurePosixPath, paths):
        for parent, child in zip(path.parents, (path, *path.parents), strict=False):
            if len(parent.parts) > 1 and child.name != "__init__.py":
                held[str(parent)].add(child.name)
            elif len(parent.parts) > 1:
                held[str(parent)] |= set()
    for folder, names in held.items():
        if len(names) < 2:
            yield f"{folder}/ holds only {', '.join(names) or '__init__.py'}"


def vague_names(paths: Iterable[str]) -> Iterator[str]:
    for path in map(PurePosixPath, paths):
        if VAGUE_NAMES & {*path.parts[:-1], path.stem}:
            yield str(path)


# They hold -----------------------------------------------------------------------------------------------------------


def test_the_wheel_holds_exactly_the_files_that_git_tracks_in_the_layers(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    layers = (path for path in tracked() if path.split("/")[0] in LAYERS)
    expected = {"hms/" + path.removeprefix("package/") for path in layers}
    holds((f"{name} is in the wheel, not in git" for name in packed - expected), "expected only what git tracks")
    holds((f"{name} is in git, not in the wheel" for name in expected - packed), "expected all that git tracks")


def test_an_import_goes_downwards_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout, done.stdout


def test_the_modules_of_decide_and_evolve_read_no_clock_draw_no_id_and_do_no_io() -> None:
    behaviours = deciding({source.path: source for source in sources("actors")})
    assert behaviours, "expected actors/ to hold behaviours"
    holds((found for source in behaviours.values() for found in impurities(source)), "expected decisions to be pure")


def test_no_function_is_over_70_lines_long() -> None:
    everywhere = sources(*LAYERS, "tests", "bench", "tools")
    holds((found for source in everywhere for found in long_functions(source)), "expected at most 70 lines")


def test_nine_functions_in_ten_are_under_24_lines_long() -> None:
    every = [(source, function) for source in sources(*LAYERS) for function in functions(source)]
    longer = [(source, function) for source, function in every if lines(function) >= USUAL_FUNCTION_LINES_MAX]
    listed = "\n  ".join(source.at(function, f"{function.name}: {lines(function)}") for source, function in longer)
    assert len(longer) * 10 <= len(every), f"expected at most {len(every) // 10} of {len(every)} longer:\n  {listed}"


def test_no_file_is_over_400_lines_long() -> None:
    lengths = ((source.path, source.text.count("\n")) for source in sources(*LAYERS, "tests", "bench", "tools"))
    holds(
        (f"{path}:1 {count} lines" for path, count in lengths if count > FILE_LINES_MAX), "expected at most 400 lines"
    )


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    holds(vague_names(tracked()), "expected a name that says what it holds")


def test_a_folder_that_holds_one_file_is_a_file() -> None:
    inside = (path for path in tracked() if path.split("/")[0] in LAYERS)
    holds(lone_files(inside), "expected a file in the folder's place")


def test_the_package_has_nothing_left_open() -> None:
    holds((found for source in sources(*LAYERS) for found in unfinished(source)), "expected finished code")


def test_no_exception_is_swallowed_unnamed() -> None:
    everywhere = sources(*LAYERS, "tests", "bench", "tools")
    holds((found for source in everywhere for found in swallowed(source)), "expected the errors to be named")


def test_no_test_sleeps() -> None:
    holds((found for source in sources("tests") for found in sleeps(source)), "expected a condition with a deadline")


def test_every_public_module_class_and_function_has_a_docstring() -> None:
    holds((found for source in sources(*LAYERS) for found in undocumented(source)), "expected a docstring")


def test_every_name_that_a_package_exports_is_there_and_has_a_docstring() -> None:
    inits = (path for path in tracked() if path.split("/")[0] in LAYERS and path.endswith("__init__.py"))
    names = ("hms/" + path.removeprefix("package/").removesuffix("__init__.py") for path in inits)
    modules = [importlib.import_module(name.strip("/").replace("/", ".")) for name in names]
    exports = [(module, name) for module in modules for name in getattr(module, "__all__", ())]
    assert ("hms", "App") in {(module.__name__, name) for module, name in exports}, "expected hms to export its API"
    things = ((f"{module.__name__}.{name}", getattr(module, name)) for module, name in exports)
    documented = (inspect.isclass, inspect.isfunction)
    bare = (name for name, thing in things if any(kind(thing) for kind in documented) and not thing.__doc__)
    holds(bare, "expected a docstring")


def test_the_version_is_the_same_in_the_package_and_in_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert hms.__version__ == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_requirement_has_its_exact_version_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    pinned = re.findall(r"^([\w.-]+)==\S+$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    plain = {name.lower().replace("_", "-") for name in pinned}
    holds((name for name in asked if re.split(r"[<>=\[]", name)[0] not in plain), "expected a pin in constraints.txt")


# They bite -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "text", "offence"),
    [
        (long_functions, "def f():\n" + "    x()\n" * 70, "f has 71 lines"),
        (impurities, "from datetime import datetime\nat = datetime.now(UTC)", ":2 calls datetime.now(UTC)"),
        (impurities, "import os.path", "imports os.path"),
        (impurities, "from time import monotonic", "imports time.monotonic"),
        (impurities, "from ...core.clock import Clock", "imports core.clock.Clock"),
        (impurities, "from ...schemas import new_id", "imports schemas.new_id"),
        (impurities, "open('x')", "calls open"),
        (swallowed, "try:\n    x()\nexcept:\n    pass", ":3 bare except"),
        (sleeps, "import time\ntime.sleep(1)", ":2 time.sleep(1)"),
        (sleeps, "from time import sleep", ":1 from time import sleep"),
        (unfinished, "x = 1  # TO" + "DO: more", ":1 x = 1"),
        (undocumented, "x = 1", "module without docstring"),
        (undocumented, '"""Doc."""\nclass A: ...', ":2 A without docstring"),
    ],
)
def test_a_rule_finds_the_offence(rule: Callable[[Source], Iterator[str]], text: str, offence: str) -> None:
    assert [found for found in rule(Source("actors/sample.py", text)) if offence in found]


def test_the_rules_leave_good_code_alone() -> None:
    text = """
        "Doc."
        from datetime import datetime
        from ...core import Decision

        def decide(state, message, context):
            "Doc."
            return context.now
    """
    good = Source("actors/sample.py", textwrap.dedent(text))
    rules = (long_functions, impurities, swallowed, sleeps, unfinished, undocumented)
    assert [found for rule in rules for found in rule(good)] == []
    assert is_behaviour(good)
    assert is_behaviour(Source("actors/sample.py", "group = Behaviour('group', decide=choose)"))
    assert not is_behaviour(Source("actors/sample.py", "def plan(): ..."))


def test_what_a_behaviour_decides_with_is_followed_and_what_its_effects_do_is_not() -> None:
    behaviour = """
        from . import schedule
        from .fold import evolve as fold
        from .effects import start
        from ..host.reports import Report

        group = Behaviour("group", decide=lambda s, m, c: schedule.next(m), evolve=fold, effects=[on(Report, start)])
    """
    texts = {"group/behaviour": textwrap.dedent(behaviour), "group/schedule": "from .backoff import first\nx = first"}
    rest = ("group/fold", "group/effects", "group/backoff", "group/unused", "host/reports")
    actors = {f"actors/{name}.py": Source(f"actors/{name}.py", texts.get(name, "")) for name in (*texts, *rest)}
    found = {path.removeprefix("actors/").removesuffix(".py") for path in deciding(actors)}
    assert found == {"group/behaviour", "group/schedule", "group/fold", "group/backoff"}


def test_a_folder_with_one_file_and_a_vague_name_are_found() -> None:
    paths = ["core/log/__init__.py", "core/log/port.py", "core/log/sql/__init__.py", "core/helpers.py"]
    assert list(lone_files(paths)) == ["core/log/sql/ holds only __init__.py"]
    assert list(lone_files(["core/testing/given.py"])) == ["core/testing/ holds only given.py"]
    assert list(vague_names(paths)) == ["core/helpers.py"]
