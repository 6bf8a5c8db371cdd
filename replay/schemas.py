"""The schemas of a history: what they are needed for is everything."""

from ..core.log.port import SCHEMAS
from ..schemas import Contract, SchemaError
from .history import History


async def learn_schemas(history: History, contract: Contract) -> None:
    """Teach a contract every schema that the history holds; one that cannot be used is passed over, as nodes do."""
    _, end = await history.bounds(SCHEMAS, 0)
    if history.log is not None:
        end = max(end, (await history.log.watermarks(SCHEMAS, 0)).high)
    start, _ = await history.bounds(SCHEMAS, 0)
    async for records in history.records(SCHEMAS, 0, start, end):
        for stored in records:
            learn_schema(contract, stored.key, stored.value or b"")


async def schema_records(history: History) -> list[tuple[bytes, bytes]]:
    """Return key and value of every schema that the history holds."""
    start, end = await history.bounds(SCHEMAS, 0)
    return [
        (stored.key, stored.value or b"")
        async for records in history.records(SCHEMAS, 0, start, end)
        for stored in records
    ]


def learn_schema(contract: Contract, key: bytes, value: bytes) -> None:
    """Teach a contract one schema, unless it is none that can be used."""
    try:
        schema_id, text = int(key), value.decode()
        registered = contract.by_id(schema_id)
        if registered is None or registered.schema_json != text:
            contract.learn(schema_id, text)
    except (SchemaError, ValueError):
        return
