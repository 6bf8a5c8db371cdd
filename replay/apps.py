"""Apps by name, `module:attribute`: how processes of our own are told whose code to run."""

import importlib
from collections.abc import Sequence
from functools import lru_cache

from ..core.app import App
from ..core.errors import ValidationFailed
from ..core.runtime.installed import Behaviours


def load_app(name: str) -> App:
    """Return an app. Raises `ValidationFailed`, and what importing its module raises."""
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(found, App):
        raise ValidationFailed(f"expected {attribute!r} of {module} to be an App, got {found!r}")
    return found


@lru_cache(1)
def behaviours_of(names: Sequence[str]) -> Behaviours:
    """Return what apps make together; kept, because that takes longer than a small shard."""
    return Behaviours([load_app(name) for name in names])
