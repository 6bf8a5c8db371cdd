"""Apps as the command line names them: `module:attribute`, imported from the current folder first."""

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from traceback import extract_tb

from ...actors.app import hms_app
from ...core.app import App
from ..cli.exit_codes import Exit, Stop


def load_apps(names: Iterable[str]) -> tuple[App, ...]:
    """Return HMS's own app and the named ones. Raises `Stop`."""
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    return (hms_app, *(_load(name) for name in dict.fromkeys(names)))


def _load(name: str) -> App:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise Stop(Exit.USAGE, f"--app: expected MODULE:ATTRIBUTE such as bank:app, got {name!r}")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0] and error.name != module:
            raise _broken(module, error) from error
        raise Stop(
            Exit.USAGE,
            f"--app {name}: expected a module {module!r} in the current folder or installed, found none; "
            "start in the folder that holds it",
        ) from error
    except Exception as error:
        raise _broken(module, error) from error
    if not isinstance(found, App):
        raise Stop(Exit.USAGE, f"--app {name}: expected {attribute!r} of {module} to be an App, got {found!r}")
    return found


def _broken(module: str, error: Exception) -> Stop:
    """Blame the module that could not be imported, with the place in it (or in what it imports)."""
    mistake = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return Stop(Exit.FAILED, f"--app: {Path(error.filename or module).name} raised {mistake}")
    ours = (__file__, importlib.__file__)
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename not in ours]
    theirs = [frame for frame in frames if not frame.filename.startswith("<frozen")]
    here = [frame for frame in theirs if Path(frame.filename).absolute().is_relative_to(Path.cwd())]
    if not theirs:
        return Stop(Exit.FAILED, f"--app: {module} cannot be imported: {mistake}")
    blamed = (here or theirs)[-1]
    return Stop(Exit.FAILED, f"--app: {Path(blamed.filename).name} raised {mistake} (line {blamed.lineno})")
