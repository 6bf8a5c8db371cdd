"""Where a log on Kafka is: the URL, and every name that follows from its prefix."""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from ...errors import ValidationFailed
from .properties import connection_arguments, read_properties

DEFAULT_PREFIX: Final = "hms"
DEFAULT_PORT: Final = 9092
EXPECTED: Final = "expected kafka://HOST:PORT[,HOST:PORT...][/PREFIX][?properties=FILE]"
_HOST: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_PORT_MAX: Final = 65_535


class KafkaAddress(NamedTuple):
    """A cluster's first brokers (`HOST:PORT`), the prefix of all names there, and a file of client properties."""

    bootstrap: tuple[str, ...]
    prefix: str = DEFAULT_PREFIX
    properties: Path | None = None

    @classmethod
    def parse(cls, url: str) -> "KafkaAddress":
        """Return what the URL names; raises `ValidationFailed`. The properties are not read yet."""
        scheme, found, rest = url.partition("://")
        if scheme != "kafka" or not found:
            raise ValidationFailed(f"{url!r} is not the URL of a log on Kafka; {EXPECTED}")
        place, _, query = rest.partition("?")
        hosts, _, prefix = place.partition("/")
        bootstrap = tuple(_host(url, host) for host in hosts.split(","))
        return cls(bootstrap, _prefix(url, unquote(prefix)), _properties(url, query))

    @property
    def url(self) -> str:
        """The same log's URL, in full."""
        query = f"?properties={self.properties}" if self.properties else ""
        return f"kafka://{','.join(self.bootstrap)}/{self.prefix}{query}"

    def topic(self, name: str) -> str:
        """Return the topic's name on the cluster: `hms.events` is `PREFIX.events` there."""
        return f"{self.prefix}.{name.removeprefix('hms.')}"

    @property
    def settings_topic(self) -> str:
        """The compacted topic of what the log says about itself."""
        return f"{self.prefix}.settings"

    def transactional_id(self, shard: int) -> str:
        """Return the id that fences the shard's writers."""
        return f"{self.prefix}-shard-{shard}"

    @property
    def settings_transactional_id(self) -> str:
        """The id that fences those who change a setting."""
        return f"{self.prefix}-settings"

    @property
    def nodes_group(self) -> str:
        """The consumer group that says which node owns which shard."""
        return f"{self.prefix}-nodes"

    @property
    def shards_group(self) -> str:
        """The consumer group whose offsets mirror the shards' positions, for tools that show lag."""
        return f"{self.prefix}-shards"

    def client_kwargs(self) -> dict[str, Any]:
        """Return what every client of aiokafka is given to connect; reads the properties. Raises `ValidationFailed`."""
        arguments = connection_arguments(read_properties(self.properties)) if self.properties else {}
        return {"bootstrap_servers": list(self.bootstrap), **arguments}


def _host(url: str, text: str) -> str:
    match = _HOST.fullmatch(text)
    if match is None or int(match["port"] or 1) not in range(1, _PORT_MAX + 1):
        raise ValidationFailed(f"{url!r}: {text!r} is not HOST:PORT; {EXPECTED}")
    return f"{match['host']}:{match['port'] or DEFAULT_PORT}"


def _prefix(url: str, text: str) -> str:
    prefix = text or DEFAULT_PREFIX
    if not _PREFIX.fullmatch(prefix) or prefix in {".", ".."}:
        raise ValidationFailed(f"{url!r}: the prefix {prefix!r} cannot start a topic's name; use A-Z a-z 0-9 . _ -")
    return prefix


def _properties(url: str, query: str) -> Path | None:
    options = dict(parse_qsl(query, keep_blank_values=True))
    path = options.pop("properties", None)
    if options or path == "":
        raise ValidationFailed(f"{url!r}: unknown option {''.join(options) or 'properties without a file'}; {EXPECTED}")
    return Path(path) if path else None
