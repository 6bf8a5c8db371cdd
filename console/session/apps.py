"""Apps as the command line names them: `module:attribute`, imported from the current folder first."""

import importlib
import sys
from collections.abc import Iterable

from ...actors.app import hms_app
from ...core.app import App
from ...core.errors import ValidationFailed


def load_apps(names: Iterable[str]) -> tuple[App, ...]:
    """Return HMS's own app and the named ones. Raises `ValidationFailed`."""
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    return (hms_app, *(_load(name) for name in dict.fromkeys(names)))


def _load(name: str) -> App:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValidationFailed(f"--app: expected MODULE:ATTRIBUTE such as bank:app, got {name!r}")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0] and error.name != module:
            raise
        raise ValidationFailed(
            f"--app {name}: expected a module {module!r} in the current folder or installed, found none; "
            "start in the folder that holds it"
        ) from error
    if not isinstance(found, App):
        raise ValidationFailed(f"--app {name}: expected {attribute!r} of {module} to be an App, got {found!r}")
    return found
