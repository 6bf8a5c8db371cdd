"""What a stored state depends on, as a short hash: changed code folds history again instead of trusting the state.

The hash covers the bytecode of `evolve` and of every function that it reaches by name within its own top-level package
(helpers, methods of the state's classes), and the fields of the state. What it reaches otherwise (through a table of
functions, another package) it does not see: raise the behaviour's `version` when such a thing changes. Another Python has
other bytecode, so an upgrade folds once.
"""

import hashlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

_ADDRESS = re.compile(" at 0x[0-9a-f]+")
"""Where a function, in a field's validator or default, lies in this process's memory."""


def fingerprint(name: str, version: int, evolve: Callable[..., Any], state: Any) -> str:
    """Return 16 hex digits that stand for a behaviour's fold and its state's shape."""
    digest = hashlib.sha256(f"{name}:{version}".encode())
    states = typing.get_args(state) or (state,)
    for function in _reached(evolve, states):
        digest.update(function.__qualname__.encode() + _code_bytes(function.__code__))
    for cls in states:
        fields = repr(sorted(getattr(cls, "model_fields", {}).items()))  # with their constraints and defaults
        digest.update(_ADDRESS.sub("", fields).encode())
    return digest.hexdigest()[:16]


def _reached(evolve: Callable[..., Any], states: tuple[Any, ...]) -> list[FunctionType]:
    """Return `evolve`, the functions that it names, and theirs, in a stable order."""
    root = evolve.__module__.partition(".")[0] if evolve.__module__ else ""
    found: dict[tuple[str, str], FunctionType] = {}
    waiting: list[Any] = [evolve, *states]
    while waiting:
        for function in _functions_of(waiting.pop()):
            key = (function.__module__, function.__qualname__)
            if key not in found and function.__module__.partition(".")[0] == root and _is_own(function.__module__):
                found[key] = function
                waiting.extend(_named_by(function))
    return [found[key] for key in sorted(found)]


def _is_own(module: str) -> bool:
    """Leave out the records' base classes and the runtime: they are the contract's business."""
    return not module.startswith(("hms.schemas.record", "hms.core."))


def _functions_of(thing: Any) -> Iterator[FunctionType]:
    if inspect.isfunction(thing):
        yield thing
    elif inspect.isclass(thing):
        for member in vars(thing).values():
            plain = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(plain):
                yield plain


def _named_by(function: FunctionType) -> Iterator[Any]:
    for code in _codes(function.__code__):
        names = {name: function.__globals__.get(name) for name in code.co_names}
        for named in names.values():
            if isinstance(named, ModuleType):
                yield from (getattr(named, name, None) for name in code.co_names)
            else:
                yield named


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _codes(constant)


def _code_bytes(code: CodeType) -> bytes:
    parts = [
        b"".join((one.co_code, repr(_constants(one)).encode(), repr(one.co_names).encode())) for one in _codes(code)
    ]
    return b"\0".join(parts)


def _constants(code: CodeType) -> list[Any]:
    """Return the plain constants; a set has no order of its own, so it gets one."""
    constants = [constant for constant in code.co_consts if not inspect.iscode(constant)]
    return [sorted(constant, key=repr) if isinstance(constant, frozenset) else constant for constant in constants]
