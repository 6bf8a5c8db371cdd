"""A TCP proxy in front of a broker that knows where a Kafka request begins and ends: it cuts, delays and drops at a chosen one."""

import asyncio
import struct
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Self

SIZE = struct.Struct(">i")
REQUEST = struct.Struct(">hhi")
"""How a request begins: its API's key, that one's version, and the correlation id that its answer begins with."""


class Api(IntEnum):
    """What a request asks for: keys of Kafka's protocol."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    API_VERSIONS = 18
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26


At = Literal["request", "answer"]
Do = Literal["cut", "drop"]


class Fault(NamedTuple):
    """What happens at the next request of an API, or at its answer."""

    api: int
    at: At
    do: Do


class Proxy:
    """Listens on 127.0.0.1:`listen` and speaks with 127.0.0.1:`to`, in a thread of its own, until its `with` ends.

    Its methods may be called from any thread; they hold from the next frame on.
    """

    def __init__(self, *, listen: int, to: int) -> None:
        self.bootstrap = f"127.0.0.1:{listen}"
        self.delay_ms = 0
        self.seen: Counter[int] = Counter()
        self.done: list[Fault] = []
        self._listen, self._to = listen, to
        self._expected: list[Fault] = []
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._accepts = True
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{listen}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._flows.set()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", self._listen))
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> int:
        """Cut every connection now and return how many there were; the clients may come again."""
        return self._run(self._cut())

    def refuse(self) -> None:
        """Cut every connection now, and each new one as it comes, until `accept`."""
        self.refuse_next()
        self.cut()

    def refuse_next(self) -> None:
        """Cut each new connection as it comes, until `accept`; those that are there go on."""
        self._accepts = False

    def accept(self) -> None:
        """Take connections again."""
        self._accepts = True

    def silence(self) -> None:
        """Pass nothing on, either way, and let the connections be, until `speak`."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def speak(self) -> None:
        """Pass on again, what was held back first."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def expect(self, api: Api, at: At, do: Do, count: int = 1) -> None:
        """Let this happen at the next `count` requests of the API.

        At the request, the broker never hears of it; at the answer, the broker has done it and nobody is told. `cut` ends that
        connection there, `drop` lets it be.
        """
        self._expected.extend([Fault(api, at, do)] * count)

    def wait_done(self, count: int, seconds: float = 60) -> None:
        """Return once this many of the expected faults have happened."""
        deadline = time.monotonic() + seconds
        while len(self.done) < count:
            assert time.monotonic() < deadline, f"expected {count} faults in {seconds} s, came {self.done}"
            threading.Event().wait(0.005)

    async def _close(self) -> None:
        """In the loop's own thread: a server that is closed while one of its connections ends breaks otherwise."""
        self._server.close()

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection("127.0.0.1", self._to) if self._accepts else None
        except OSError:
            server = None  # the broker is down, and so is who stands before it
        if server is None:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), server)
        self._links[link] = asyncio.ensure_future(link.run())
        try:
            await asyncio.wait([self._links[link]])
        finally:
            link.cut()
            del self._links[link]

    async def _cut(self) -> int:
        tasks = list(self._links.values())
        for link in list(self._links):
            link.cut()
        if tasks:
            await asyncio.wait(tasks)
        return len(tasks)

    async def passes(self, api: int, at: At) -> bool:
        """Return whether a frame goes on; end its connection by `ConnectionAbortedError` if that is what was expected of it."""
        await self._flows.wait()
        if at == "request":
            self.seen[api] += 1
        elif self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1_000)
        fault = next((fault for fault in self._expected if fault[:2] == (api, at)), None)
        if fault is None:
            return True
        self._expected.remove(fault)
        self.done.append(fault)
        if fault.do == "cut":
            raise ConnectionAbortedError
        return False


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """A client's connection and the one to the broker for it; both end together."""

    def __init__(self, proxy: Proxy, client: Streams, server: Streams) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._asked: dict[int, int] = {}
        """Correlation id -> API of the requests that are not answered yet."""

    async def run(self) -> None:
        pumps = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._answers())]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        self.cut()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    def cut(self) -> None:
        for _, writer in (self._client, self._server):
            writer.transport.abort()

    async def _requests(self) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(self._client[0])
                api, _, correlation = REQUEST.unpack_from(frame, SIZE.size)
                self._asked[correlation] = api
                if await self._proxy.passes(api, "request"):
                    await _send(self._server[1], frame)

    async def _answers(self) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _frame(self._server[0])
                (correlation,) = SIZE.unpack_from(frame, SIZE.size)
                if await self._proxy.passes(self._asked.pop(correlation), "answer"):
                    await _send(self._client[1], frame)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(SIZE.size)
    return size + await reader.readexactly(SIZE.unpack(size)[0])


async def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(frame)
    await writer.drain()
