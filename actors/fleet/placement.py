"""What a file says of hosts: names that there are, and failover that can work."""

from collections.abc import Iterable
from typing import Any

from .document import Document
from .mistakes import Path, likely
from .shape import components_of, mappings_in


def check_placement(document: Document) -> None:
    """Note every host that is not one, and every failover that has nowhere to go."""
    hosts = _hosts(document)
    groups = {str(group.get("id")): group for _, group in mappings_in(document, "groups")}
    for path, value in (*mappings_in(document, "groups"), *components_of(document)):
        _check_host(document, (*path, "host"), value.get("host"), hosts)
        for index, name in enumerate(_listed(value.get("candidates"))):
            _check_host(document, (*path, "candidates", index), name, hosts)
            _check_repeated(document, (*path, "candidates", index), name, value)
    for path, component in components_of(document):
        _check_failover(document, path, component, groups.get(str(component.get("group")), {}))


def _hosts(document: Document) -> list[str]:
    """Return the names; note those that come twice."""
    listed = _listed(document.data.get("hosts") if isinstance(document.data, dict) else None)
    for index, name in enumerate(listed):
        if name in listed[:index]:
            document.wrong(("hosts", index), "each host once", f"`{name}` again", "remove one of the two")
    return listed


def _listed(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _check_host(document: Document, path: Path, name: Any, hosts: Iterable[str]) -> None:
    if isinstance(name, str) and name and name not in hosts:
        advice = likely(name, hosts, f"add `{name}` to `hosts`, or remove it")
        document.wrong(path, "a host of this file", f"`{name}`", advice)


def _check_repeated(document: Document, path: Path, name: str, value: dict[str, Any]) -> None:
    before = _listed(value["candidates"])[: int(path[-1])]
    if name in before:
        document.wrong(path, "each candidate once", f"`{name}` again", "remove one of the two")
    elif name == value.get("host"):
        document.wrong(path, "candidates beside its host", f"`{name}`, which is its host", "remove it")


def _check_failover(document: Document, path: Path, component: dict[str, Any], group: dict[str, Any]) -> None:
    """Look at a component with what its group says for what it leaves out."""
    failover = component.get("failover", group.get("failover", False))
    host = component.get("host", group.get("host"))
    candidates = _listed(component.get("candidates", group.get("candidates")))
    if failover is not True:
        if _listed(component.get("candidates")) and failover is False:
            advice = "add `failover: true`, or remove them"
            document.wrong((*path, "candidates"), "candidates of a component that fails over", "none that does", advice)
        return
    if not set(candidates) - {host}:
        got = f"none beside its host `{host}`" if candidates else "none"
        advice = "add `candidates: [HOST]` with hosts that may take it over, or remove `failover`"
        document.wrong((*path, "failover"), "candidates for the failover", got, advice)
    if component.get("restart") == "temporary":
        advice = "make it transient or permanent, or write `failover: false`"
        document.wrong((*path, "failover"), "a component that is started again", "a temporary one", advice)
