"""What each value of a component must be that its type does not say: addresses, signals, masks, kinds of probe.

The checks read the document, not the records, so that one wrong value hides no other; what has a wrong type is passed
over, because that has been noted.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .document import Document
from .mistakes import Path, likely
from .shape import components_of

SIGNALS = ("ABRT", "ALRM", "HUP", "INT", "KILL", "PIPE", "QUIT", "TERM", "USR1", "USR2", "WINCH")
"""Signals that can end a process, the same on every system."""
UMASK = r"^0?[0-7]{3}$"
VARIABLE = r"^[^=]+$"
KINDS = ("tcp", "http", "command", "process")
ONCE = ("startup", "liveness")
"""Probes that, as in Kubernetes, pass at their first success: more would delay what a failure has already decided."""


def check_values(document: Document) -> None:
    """Note every value that does not fit, component by component."""
    for path, component in components_of(document):
        _check_words(document, path, component)
        _check_environment(document, path, component)
        _check_umask(document, path, component)
        _check_stop(document, path, component)
        _check_backoff(document, path, component)
        for name, probe in _mappings(component.get("probes")):
            _check_probe(document, (*path, "probes", name), probe)


def _mappings(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield key, inner


def _check_words(document: Document, path: Path, component: dict[str, Any]) -> None:
    for key in ("command", "on_give_up"):
        _check_program(document, (*path, key), component.get(key))
    for key in ("working_folder", "user"):
        if component.get(key) == "":
            document.wrong((*path, key), "a name", "empty text", "remove the key, or name one")
    folder = component.get("working_folder")
    if isinstance(folder, str) and folder.startswith("~"):
        advice = "write the whole path: whose home `~` is depends on the user"
        document.wrong((*path, "working_folder"), "a path", f"`{folder}`", advice)


def _check_program(document: Document, path: Path, words: Any) -> None:
    if isinstance(words, list) and words and words[0] == "":
        document.wrong((*path, 0), "a program", "empty text", "name the program to run")


def _check_environment(document: Document, path: Path, component: dict[str, Any]) -> None:
    environment = component.get("environment")
    for name in environment if isinstance(environment, dict) else ():
        if not re.fullmatch(VARIABLE, name):
            at = (*path, "environment", name)
            document.wrong_key(at, "a variable's name", f"`{name}`", "leave the `=` away: write `NAME: value`")


def _check_umask(document: Document, path: Path, component: dict[str, Any]) -> None:
    umask = component.get("umask")
    if isinstance(umask, str) and not re.fullmatch(UMASK, umask):
        document.wrong((*path, "umask"), "three octal digits", f"`{umask}`", "write for example `022`")


def _check_stop(document: Document, path: Path, component: dict[str, Any]) -> None:
    stop = component.get("stop")
    signal = stop.get("signal") if isinstance(stop, dict) else None
    if isinstance(signal, str) and signal.removeprefix("SIG") not in SIGNALS:
        advice = likely(signal.upper(), SIGNALS, "TERM is the usual one")
        expected = f"a signal that ends a process ({', '.join(SIGNALS)})"
        document.wrong((*path, "stop", "signal"), expected, f"`{signal}`", advice)


def _check_backoff(document: Document, path: Path, component: dict[str, Any]) -> None:
    backoff = component.get("backoff")
    if not isinstance(backoff, dict):
        return
    first, longest = backoff.get("first_ms", 200), backoff.get("max_ms", 10_000)
    if isinstance(first, int) and isinstance(longest, int) and first > longest:
        key = "first_ms" if "first_ms" in backoff else "max_ms"
        at = (*path, "backoff", key)
        got = f"first_ms {first} and max_ms {longest}"
        document.wrong(at, "first_ms to be at most max_ms", got, "raise max_ms, or lower first_ms")


def _check_probe(document: Document, path: Path, probe: dict[str, Any]) -> None:
    _check_kind(document, path, probe)
    _check_program(document, (*path, "command"), probe.get("command"))
    _check_address(document, (*path, "tcp"), probe.get("tcp"))
    _check_url(document, (*path, "http"), probe.get("http"))
    successes = probe.get("success_threshold")
    if path[-1] in ONCE and isinstance(successes, int) and successes > 1:
        at = (*path, "success_threshold")
        document.wrong(
            at, f"1 for a {path[-1]} probe", str(successes), "remove the key; only readiness may ask for more"
        )


def _check_kind(document: Document, path: Path, probe: dict[str, Any]) -> None:
    if probe.get("process") is False:
        document.wrong((*path, "process"), "true", "false", "remove the key")
    kinds = [key for key in KINDS if key in probe and probe[key] is not False]
    if len(kinds) == 1:
        return
    got = " and ".join(kinds) or "none"
    advice = "split it, or keep one" if kinds else 'add one, for example `tcp: "127.0.0.1:8080"` or `process: true`'
    document.wrong(path, f"exactly one of {', '.join(KINDS)}", got, advice)


def _check_address(document: Document, path: Path, address: Any) -> None:
    if not isinstance(address, str):
        return
    parts = _split(f"//{address}")
    if parts is None or parts.netloc != address or not parts.hostname or not parts.port or "@" in address:
        document.wrong(path, "HOST:PORT", f"`{address}`", 'write for example "127.0.0.1:8080" or "[::1]:8080"')


def _check_url(document: Document, path: Path, url: Any) -> None:
    if not isinstance(url, str):
        return
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        document.wrong(path, "a URL", f"`{url}`", 'write for example "http://127.0.0.1:8080/health"')


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it has none, or a port that is no port."""
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port >= 0
    except ValueError:
        return None
    return parts if port_fits and not re.search(r"\s", url) else None
