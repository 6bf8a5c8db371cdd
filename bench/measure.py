"""The fresh process of one measurement: `measure.py --measure|--profile MODULE:FUNCTION ARGUMENTS`; JSON on the last line."""

import asyncio
import collections
import importlib
import inspect
import json
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

SAMPLE_EVERY_S = 0.002
TOP = 18


def found(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    result: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return result


def call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    result = function(**arguments)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def profiled(work: Callable[[], object]) -> str:
    """Sample the main thread on its CPU time: little overhead, C code counts for the function that called it."""
    alone: collections.Counter[str] = collections.Counter()
    whole: collections.Counter[str] = collections.Counter()

    def sample(_number: int, frame: FrameType | None) -> None:
        if frame is not None:
            alone[_name(frame)] += 1
        seen = set()
        while frame is not None:
            seen.add(_name(frame))
            frame = frame.f_back
        whole.update(seen)

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_EVERY_S, SAMPLE_EVERY_S)
    work()
    signal.setitimer(signal.ITIMER_PROF, 0)
    return _table(alone, whole)


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(code.co_filename.rsplit('/', 3)[1:])}:{code.co_qualname}"


def _table(alone: collections.Counter[str], whole: collections.Counter[str]) -> str:
    total = max(1, alone.total())
    lines = [f"{'alone':>6} {'whole':>6}  function ({total:,} samples of the main thread's CPU time)"]
    lines += [
        f"{count / total:6.1%} {whole[name] / total:6.1%}  {name.split('site-packages/')[-1]}"
        for name, count in alone.most_common(TOP)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    how, name, arguments = sys.argv[1:]
    given, function = json.loads(arguments), found(name)
    answer = profiled(lambda: call(function, given)) if how == "--profile" else call(function, given)
    print(json.dumps(answer))
