"""Who really answers at a local port: the component, or a stranger that took it."""

import ipaddress
import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import psutil

from .shim import tree

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Listener(NamedTuple):
    """A listening socket; `pid` is None when it belongs to a process that we may not look into."""

    address: IPAddress
    pid: int | None
    descriptor: int


class Ownership:
    """Asks whether a port's listener is of a component's tree; remembers the answer as long as that socket is open."""

    def __init__(self, host: str, port: int) -> None:
        """Ask about this address; what is not of this host is never asked about."""
        self._host = host
        self._port = port
        self._addresses: set[IPAddress] | None = None
        self._known: tuple[int, int, str] | None = None

    def complaint(self, members: Callable[[], Collection[int]]) -> str | None:
        """Return `port N held by PID COMMAND` if somebody else listens there, None if all is well or nobody does.

        `members` returns the pids of the component's tree; it is only asked when the owner is not remembered.
        Blocks: it reads every process's descriptors when it has to look, one link when the owner is remembered.
        """
        if self._still_ours():
            return None
        if self._addresses is None:
            self._addresses = _local_addresses(self._host)
        listeners = self._nearest(_listeners(self._port), self._addresses) if self._addresses else []
        if not listeners:
            return None
        pids = members()
        if any(self._is_ours(listener, pids) for listener in listeners):
            return None
        pid = listeners[0].pid
        holder = tree.describe(pid) if pid is not None else "a process of another user or container"
        return f"port {self._port} held by {holder}"

    @staticmethod
    def _nearest(listeners: list[Listener], addresses: set[IPAddress]) -> list[Listener]:
        # The kernel prefers the socket bound to the very address over one bound to all.
        exact = [listener for listener in listeners if listener.address in addresses]
        return exact or [listener for listener in listeners if listener.address.is_unspecified]

    def _is_ours(self, listener: Listener, pids: Collection[int]) -> bool:
        if listener.pid is None:
            return False
        link = _link(listener.pid, listener.descriptor)
        if listener.pid in pids:
            self._known = (listener.pid, listener.descriptor, link) if link else None
            return True
        # A socket that was handed over has several holders, of which only one is named.
        return bool(link) and any(link in _links(pid) for pid in pids)

    def _still_ours(self) -> bool:
        # The very socket in the very process: nobody can leave the tree, and no number is reused while it is open.
        if self._known is None:
            return False
        pid, descriptor, link = self._known
        return _link(pid, descriptor) == link


def _link(pid: int, descriptor: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/fd/{descriptor}").readlink())
    except OSError:
        return ""


def _links(pid: int) -> set[str]:
    try:
        return {_link(pid, int(name)) for name in os.listdir(f"/proc/{pid}/fd")}  # noqa: PTH208 - names are numbers
    except OSError:
        return set()


def _listeners(port: int) -> list[Listener]:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS without root: best effort, nobody is accused
        return []
    listening = [connection for connection in connections if connection.status == psutil.CONN_LISTEN]
    return [
        Listener(_address(connection.laddr.ip), connection.pid, connection.fd)
        for connection in listening
        if connection.laddr and connection.laddr.port == port
    ]


def _local_addresses(host: str) -> set[IPAddress]:
    try:
        named = {_address(str(info[4][0])) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()
    own = {
        _address(address.address.partition("%")[0])
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in {socket.AF_INET, socket.AF_INET6}
    }
    return {address for address in named if address.is_loopback or address.is_unspecified or address in own}


def _address(text: str) -> IPAddress:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
