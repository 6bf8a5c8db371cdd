"""Whether an archive is shared, so that the log may delete what it holds.

A folder that only one node sees is lost with that node. So each node leaves a token in the folder, and says in the log
which tokens it sees there. An archive is trusted while every node that lives has seen every other's, lately, and there are
at least two of them. An embedded log lives on one machine with all its nodes: there the archive is as shared as the log.
"""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import ValidationError

from ...core.log.port import Log, NodeInfo
from .disk import Disk
from .folder import Folder
from .manifest import Value

SEEN_SETTING: Final = "archive/seen/"
FRESH_US: Final = 1_800_000_000
"""A node that has not said for half an hour what it sees may have lost its mount."""
NODES_MIN: Final = 2


class Seen(Value):
    """What a node says in the log: its own token, and all tokens that it finds in the folder, as of an instant."""

    archive: str
    token: str
    tokens: tuple[str, ...]
    at_us: int


class Trust:
    """One node's part in proving that an archive is shared."""

    def __init__(self, log: Log, folder: Folder, archive: str, node: str, disk: Disk | None = None) -> None:
        self._log = log
        self._folder = folder
        self._archive = archive
        self._node = node
        self._disk = disk or Disk()
        self._token = secrets.token_hex(16)

    async def doubt(self) -> str:
        """Say what this node sees, and return why the archive cannot be trusted; nothing where it can."""
        if not self._log.capabilities.markers:
            return ""
        now_us = await self._log.clock_us()
        await self._say(now_us)
        living = [node for node in await self._log.nodes() if node.alive]
        if len(living) < NODES_MIN:
            return f"only {len(living)} node lives; another one has to see the archive too before the log is trimmed"
        if self._node not in {node.node for node in living}:
            return (
                "several nodes share this log: they trim it by policy.json, and only they can see each other's archive"
            )
        return judged(living, {node.node: await self._said(node.node) for node in living}, self._archive, now_us)

    async def _say(self, now_us: int) -> None:
        tokens = await asyncio.to_thread(self._tokens)
        seen = Seen(archive=self._archive, token=self._token, tokens=tokens, at_us=now_us)
        name = SEEN_SETTING + self._node
        before = await self._log.get_setting(name)
        await self._log.put_setting(name, seen.model_dump_json(), expected=before)

    def _tokens(self) -> tuple[str, ...]:
        """Leave this node's token if it is not there, and return all that are."""
        own = self._folder.nodes / f"{quote(self._node, safe='')}-{self._token}.json"
        if not own.exists():
            for older in self._folder.nodes.glob(f"{quote(self._node, safe='')}-{'[0-9a-f]' * 32}.json"):
                self._disk.remove(older)
            self._disk.put(own, json.dumps({"node": self._node, "token": self._token}).encode())
        return tuple(sorted(_token_in(path) for path in self._folder.nodes.glob("*.json")))

    async def _said(self, node: str) -> Seen | None:
        text = await self._log.get_setting(SEEN_SETTING + node)
        try:
            return None if text is None else Seen.model_validate_json(text)
        except ValidationError:
            return None


def _token_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # half-written, or gone again: seen by nobody


def judged(living: list[NodeInfo], said: dict[str, Seen | None], archive: str, now_us: int) -> str:
    """Return why what the nodes said proves nothing; nothing where each has seen each."""
    for node in living:
        seen = said[node.node]
        if seen is None or seen.archive != archive:
            return f"node {node.node} does not archive there: start it with the same --archive"
        if seen.at_us < now_us - FRESH_US:
            return f"node {node.node} has not said for {(now_us - seen.at_us) // 60_000_000} minutes what it sees of it"
    for node in living:
        for other in living:
            mine, its = said[node.node], said[other.node]
            if mine is not None and its is not None and its.token not in mine.tokens:
                return f"node {node.node} does not see what node {other.node} wrote there: is it the same folder?"
    return ""
