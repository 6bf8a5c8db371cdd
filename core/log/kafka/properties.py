"""Client properties as Kafka's own tools write them, for the connection: TLS and SASL.

The same file serves `kafka-console-consumer --consumer.config` and librdkafka's tools. What is not about the connection is
left to these. Java keystores are refused: Python reads PEM.
"""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ...errors import ValidationFailed

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
AUTHORITIES: Final = ("ssl.truststore.location", "ssl.ca.location")
CERTIFICATES: Final = ("ssl.keystore.location", "ssl.certificate.location")
KEYS: Final = ("ssl.key.location",)
HOST_CHECK: Final = "ssl.endpoint.identification.algorithm"
STORE_TYPES: Final = ("ssl.truststore.type", "ssl.keystore.type")
PASSWORDS: Final = ("ssl.key.password", "ssl.truststore.password", "ssl.keystore.password")
_KNOWN: Final = {
    *("security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password", "sasl.jaas.config"),
    *(*AUTHORITIES, *CERTIFICATES, *KEYS, HOST_CHECK, *STORE_TYPES, *PASSWORDS),
}
_JAAS: Final = re.compile(r'\b(username|password)\s*=\s*"((?:[^"\\]|\\.)*)"')


def read_properties(path: Path) -> dict[str, str]:
    """Return a file's properties; raises `ValidationFailed`."""
    try:
        return parse_properties(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationFailed(f"cannot read the client properties {path}: {error}") from error


def parse_properties(text: str) -> dict[str, str]:
    """Return the properties of a text in Java's format: `name=value`, `#` comments, lines that a backslash continues."""
    joined = re.sub(r"\\\r?\n[ \t]*", "", text)
    lines = [line.strip() for line in joined.splitlines()]
    pairs = [re.split(r"\s*[=:]\s*", line, maxsplit=1) for line in lines if line and line[0] not in "#!"]
    return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}


def connection_arguments(properties: Mapping[str, str]) -> dict[str, Any]:
    """Return them as aiokafka's arguments; raises `ValidationFailed` for what it cannot do."""
    for name in properties:
        if name.startswith(("ssl.", "sasl.", "security.")) and name not in _KNOWN:
            raise ValidationFailed(f"client property {name}: not supported; known are {', '.join(sorted(_KNOWN))}")
    protocol = _one_of("security.protocol", properties.get("security.protocol", "PLAINTEXT").upper(), PROTOCOLS)
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        arguments["ssl_context"] = _ssl_context(properties)
    if protocol.startswith("SASL"):
        arguments |= _sasl(properties)
    return arguments


def _sasl(properties: Mapping[str, str]) -> dict[str, str]:
    mechanism = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms", "PLAIN")
    jaas = {
        name: re.sub(r"\\(.)", r"\1", value) for name, value in _JAAS.findall(properties.get("sasl.jaas.config", ""))
    }
    name = properties.get("sasl.username", jaas.get("username"))
    password = properties.get("sasl.password", jaas.get("password"))
    if name is None or password is None:
        raise ValidationFailed(
            "client properties: SASL needs sasl.username and sasl.password, or both in sasl.jaas.config"
        )
    return {
        "sasl_mechanism": _one_of("sasl.mechanism", mechanism, MECHANISMS),
        "sasl_plain_username": name,
        "sasl_plain_password": password,
    }


def _ssl_context(properties: Mapping[str, str]) -> ssl.SSLContext:
    for name in STORE_TYPES:
        _one_of(name, properties.get(name, "PEM").upper(), ("PEM",))
    authority, certificate = _first(properties, AUTHORITIES), _first(properties, CERTIFICATES)
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate:
            context.load_cert_chain(certificate, _first(properties, KEYS), properties.get("ssl.key.password"))
    except OSError as error:
        where = ", ".join(filter(None, (authority, certificate)))
        raise ValidationFailed(f"client properties: cannot load {where} (PEM expected): {error}") from error
    if properties.get(HOST_CHECK) in {"", "none"}:
        context.check_hostname = False
    return context


def _first(properties: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((properties[name] for name in names if properties.get(name)), None)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValidationFailed(f"client property {name}={value}: expected one of {', '.join(allowed)}")
    return value
