"""The same Kafka in Docker, by testcontainers' generic container (its Kafka class knows only other images)."""

import gc
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import docker
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from .broker import START_S, cluster_id, settings, warm_up
from .jars import VERSION, Unavailable
from .ports import free_port

IMAGE = f"apache/kafka:{VERSION}"


@contextmanager
def container() -> Iterator[str]:
    """Run a broker in a container; yield its bootstrap address. Only with an image that is there, or HMS_TEST_DOCKER=1."""
    _look_for_image()
    testcontainers_config.ryuk_disabled = True  # the reaper is an image of its own: nothing is downloaded unasked
    port = free_port()
    broker = DockerContainer(IMAGE).with_bind_ports(9092, port).with_envs(**_environment(port))
    try:
        broker.start()
        bootstrap = f"{_address(broker.get_container_host_ip())}:{port}"
        _wait_ready(broker, bootstrap)
        warm_up(bootstrap)
        yield bootstrap
    finally:
        broker.stop()


def _wait_ready(broker: DockerContainer, bootstrap: str) -> None:
    """Return once it answers; its port is open long before, and what it says to its log depends on the image."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + START_S
    while True:
        try:
            admin.list_topics(timeout=2)
        except KafkaException:
            broker.reload()
            runs = broker.status in {"created", "running"}
            assert runs and time.monotonic() < deadline, f"{IMAGE} does not serve:\n{broker.get_logs()}"  # noqa: PT018
        else:
            return


def _look_for_image() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the client leaves the socket open that did not connect
        there = _is_there()
        gc.collect()
    if there is None:
        raise Unavailable("no Docker engine")
    if not there and os.environ.get("HMS_TEST_DOCKER") != "1":
        raise Unavailable(f"no image {IMAGE} in Docker (HMS_TEST_DOCKER=1 pulls it)")


def _is_there() -> bool | None:
    """Return whether Docker has the image; None without an engine."""
    try:
        client = docker.from_env(timeout=10)
    except DockerException:
        return None
    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        return False
    finally:
        client.close()
    return True


def _environment(port: int) -> dict[str, str]:
    """Return the settings as the image takes them.

    The broker asks itself (its transaction coordinator) by its inter-broker listener's address, and the host's port is none that it
    reaches from inside: so that listener is another one.
    """
    own = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": "HOST://:9092,INNER://:19092,CONTROLLER://:9093",
        "advertised.listeners": f"HOST://{_address('localhost')}:{port},INNER://localhost:19092",
        "listener.security.protocol.map": "HOST:PLAINTEXT,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INNER",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": "1@localhost:9093",
    }
    variables = {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in {**settings(1), **own}.items()}
    return {**variables, "CLUSTER_ID": cluster_id()}


def _address(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
