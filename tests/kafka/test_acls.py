"""Each role can do its work, and no more, with the rights that `hms log init --acls` prints: on a broker that asks for them."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hms.actors.app import hms_app
from hms.core.address import Address
from hms.core.client import connect
from hms.core.errors import NotAuthorised
from hms.core.log.kafka.acls import WHAT
from hms.core.log.open import open_log
from hms.core.log.port import EVENTS, NORMAL, OUTBOX, Draft, Log
from hms.core.runtime.node import Node
from hms.schemas.task import ListTasks

from ..command import HMS
from .broker import Broker
from .fixtures import missing, running
from .jars import Unavailable
from .tools import paste

pytestmark = pytest.mark.timeout(400)  # each line that is pasted starts a JVM, and each command a process
USERS = ("admin", "stranger", *(f"hms-{role}" for role in WHAT))


def passwords() -> str:
    users = " ".join(f'user_{user}="{user}-secret"' for user in USERS)
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"


class Guarded:
    """A broker whose clients have to say who they are, and a properties file for each of them."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker = broker
        self._folder = folder
        for user in USERS:
            (folder / f"{user}.properties").write_text(
                "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
                "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\\n"
                f'  username="{user}" password="{user}-secret";\n'
            )

    def url(self, user: str) -> str:
        return f"kafka://{self._broker.bootstrap}/shop?properties={self._folder / user}.properties"

    def hms(self, user: str, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "XDG_STATE_HOME": str(self._folder), "HMS_LOG": self.url(user)}
        command = [*HMS, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Give a log that an administrator made, with the rights that were printed, and nothing else."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = {
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,PROXIED:PLAINTEXT,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": passwords(),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:admin",
    }
    try:
        with running(brokers=1, heap="384m", more=settings) as cluster:
            yield _granted(Guarded(cluster.brokers[0], folder), folder)
    except Unavailable as why:
        missing(why)


def _granted(made: Guarded, folder: Path) -> Guarded:
    done = made.hms("admin", "log", "init", "--partitions", "2", "--acls", "-o", "json")
    assert done.returncode == 0, done.stderr
    paste([line for granted in json.loads(done.stdout)["acls"].values() for line in granted], folder)
    return made


def refused(url: str, action: Callable[[Log], Awaitable[Any]]) -> str:
    """Return what the error says with which Kafka's refusal of an action comes."""

    async def main() -> str:
        log = await open_log(url)
        try:
            await action(log)
        except NotAuthorised as error:
            return str(error)
        finally:
            await log.close()
        raise AssertionError("it was allowed")

    return asyncio.run(main())


META: Address[Any] = Address("meta_supervisor/main")


def test_a_node_and_a_client_work_together_with_their_own_rights_and_a_reader_sees_it(guarded: Guarded) -> None:
    async def main() -> None:
        async with Node(await open_log(guarded.url("hms-node")), [hms_app], name="n1") as node:
            await node.wait_owning(2)
            async with connect(guarded.url("hms-client"), name="tester") as client:
                answer: Any = await client.ask(META, ListTasks(), timeout_ms=20_000)
                assert type(answer).__name__ == "TaskList"
            shown = await asyncio.to_thread(guarded.hms, "hms-reader", "shard", "list", "-o", "json")
            assert {shard["owner"] for shard in json.loads(shown.stdout)} == {"n1"}, shown.stderr
        await node.log.close()

    asyncio.run(main())
    for words in (
        "component list",
        "event list",
        "log info",
        "log verify",
        "node list",
        "dead-letter list",
        "schema list",
    ):
        done = guarded.hms("hms-reader", *words.split())
        assert (words, done.returncode) == (words, 0), done.stderr


def test_an_operator_makes_and_checks_the_log(guarded: Guarded) -> None:
    assert guarded.hms("hms-operator", "log", "init").returncode == 0
    deadline = time.monotonic() + 60
    while True:
        done = guarded.hms("hms-operator", "doctor", "-o", "json")
        found = {check["name"]: check["outcome"] for check in json.loads(done.stdout)}
        assert (done.returncode, "fail" in found.values()) == (0, False), done.stdout
        assert found["topic settings"] == found["broker settings"] == "ok"
        if found["transactions"] == "ok":
            break
        assert time.monotonic() < deadline, done.stdout  # a broker that is busy for a second is called slow


def test_a_reader_writes_nothing_and_a_client_only_messages(guarded: Guarded) -> None:
    message = Draft(NORMAL, 0, b"component/web", b"value")
    event = Draft(EVENTS, 0, b"component/web", b"forged")
    assert "ACLs" in refused(guarded.url("hms-reader"), lambda log: log.append([message]))
    assert "ACLs" in refused(guarded.url("hms-reader"), lambda log: log.put_setting("a", "b", expected=None))
    assert "ACLs" in refused(guarded.url("hms-client"), lambda log: log.append([event]))
    assert "ACLs" in refused(guarded.url("hms-client"), lambda log: log.open_writer(0, "thief"))
    assert "ACLs" in refused(guarded.url("hms-client"), lambda log: log.put_setting("a", "b", expected=None))


def test_a_node_trims_the_outbox_and_nothing_else_and_makes_no_topic(guarded: Guarded) -> None:
    async def trims() -> None:
        log = await open_log(guarded.url("hms-node"))
        writer = await log.open_writer(1, "n1")
        (offset,) = await writer.commit([Draft(OUTBOX, 1, b"client/x", b"old")])
        async with asyncio.timeout(20):
            while (await log.watermarks(OUTBOX, 1)).stable <= offset:  # the marker comes a moment after the answer
                await log.wait({(OUTBOX, 1): offset}, 100)
        await log.trim(OUTBOX, 1, offset + 1)
        assert (await log.watermarks(OUTBOX, 1)).start == offset + 1
        await writer.commit([Draft(EVENTS, 1, b"component/web", b"kept")])
        await writer.close()
        await log.close()

    asyncio.run(trims())
    assert "ACLs" in refused(guarded.url("hms-node"), lambda log: log.trim(EVENTS, 1, 1))
    elsewhere = guarded.url("hms-node").replace("/shop?", "/shop.too?")
    done = guarded.hms("hms-node", "log", "init", "--log", elsewhere)
    assert done.returncode == 1
    assert "Kafka refuses this client" in done.stderr


@pytest.mark.parametrize("words", ["component list", "log info", "node list", "doctor"])
def test_a_stranger_is_refused_with_one_line_that_says_what_to_do(guarded: Guarded, words: str) -> None:
    done = guarded.hms("stranger", *words.split())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "shop" in done.stdout + done.stderr
    assert "hms log init" in done.stdout + done.stderr


def test_a_wrong_password_is_said_at_once(guarded: Guarded, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.properties"
    wrong.write_text("security.protocol=SASL_PLAINTEXT\nsasl.username=hms-reader\nsasl.password=guess\n")
    url = guarded.url("stranger").partition("?")[0] + f"?properties={wrong}"
    done = guarded.hms("stranger", "node", "list", "--log", url)
    assert done.returncode != 0
    assert "uthentication" in done.stderr
