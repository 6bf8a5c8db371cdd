"""The URL of a log on Kafka, the names that follow from it, and the properties of the connection."""

import ssl
from pathlib import Path

import pytest

from hms.core.errors import ValidationFailed
from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.properties import connection_arguments, parse_properties
from hms.core.log.port import EVENTS


def test_a_url_names_brokers_and_a_prefix() -> None:
    address = KafkaAddress.parse("kafka://a:1,b,[::1]:3/shop.eu")
    assert address == (("a:1", "b:9092", "[::1]:3"), "shop.eu", None)
    assert address.url == "kafka://a:1,b:9092,[::1]:3/shop.eu"
    assert KafkaAddress.parse(address.url) == address


def test_names_follow_from_the_prefix() -> None:
    address = KafkaAddress.parse("kafka://a")
    assert address.topic(EVENTS) == "hms.events"
    address = KafkaAddress.parse("kafka://a/shop")
    assert address.topic(EVENTS) == "shop.events"
    assert address.settings_topic == "shop.settings"
    assert address.transactional_id(3) == "shop-shard-3"
    assert address.settings_transactional_id == "shop-settings"
    assert (address.nodes_group, address.shards_group) == ("shop-nodes", "shop-shards")


@pytest.mark.parametrize(
    "url",
    [
        "kafka://",
        "kafka:a",
        "sqlite:x",
        "kafka://a:0",
        "kafka://a:65536",
        "kafka://a:x",
        "kafka://a,,b",
        "kafka://a b",
        "kafka://a/x/y",
        "kafka://a/x y",
        "kafka://a/..",
        "kafka://a?what=1",
        "kafka://a?properties=",
    ],
)
def test_what_is_no_such_url_is_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(ValidationFailed, match=r"kafka://HOST:PORT|topic's name"):
        KafkaAddress.parse(url)


def test_properties_are_read_as_java_writes_them() -> None:
    text = "# ours\n! and this\nsecurity.protocol = SASL_SSL\nsasl.mechanism:PLAIN\nsasl.jaas.config=a \\\n   b=c\nempty=\n\n"
    assert parse_properties(text) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": "a b=c",
        "empty": "",
    }


def test_credentials_come_from_the_jaas_line_of_kafkas_tools() -> None:
    line = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="ann" password="a\\"b=c";'
    found = connection_arguments(
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": line}
    )
    assert found == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ann",
        "sasl_plain_password": 'a"b=c',
    }


def test_a_certificate_is_checked_against_the_host_unless_that_is_switched_off() -> None:
    context = connection_arguments({"security.protocol": "SSL"})["ssl_context"]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    off = {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": ""}
    assert not connection_arguments(off)["ssl_context"].check_hostname


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"security.protocol": "TLS"}, "expected one of PLAINTEXT, SSL"),
        ({"security.protocol": "SASL_SSL"}, "needs sasl.username"),
        (
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI", "sasl.username": "a", "sasl.password": "b"},
            "SCRAM",
        ),
        ({"security.protocol": "SSL", "ssl.truststore.type": "JKS"}, "PEM"),
        ({"security.protocol": "SSL", "ssl.ca.location": "/no/such"}, "/no/such"),
        ({"ssl.protocol": "x"}, "not supported"),
    ],
)
def test_what_cannot_be_done_is_refused(properties: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationFailed, match=message):
        connection_arguments(properties)


def test_what_is_not_about_the_connection_is_left_to_other_tools() -> None:
    assert connection_arguments({"acks": "all"}) == {"security_protocol": "PLAINTEXT"}


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ValidationFailed, match="/no/such"):
        KafkaAddress.parse("kafka://a?properties=/no/such").client_kwargs()
    assert KafkaAddress(("a:1",), "p", Path("x")).url == "kafka://a:1/p?properties=x"
