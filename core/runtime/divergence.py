"""Where what is decided now and what was recorded part: in which commit, about which input, in which field."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ...schemas import Contract, Envelope, MalformedRecord, Record, Unencodable, Unknown
from .input_record import decode_input, encode_again

TEXT_CHARS_MAX: Final = 500


class Divergence(NamedTuple):
    """One input that was answered otherwise than recorded; `offset` is the commit record's in `hms.events`.

    `lane` 0 to 3 and `position` name the message, 4 a timer and its generation. `field` is `verdict`, `answer`, `timer`,
    `events[N].FIELD`, `sends...`, `effects`, `evolve`, `decide` (it is not the same each time) or `digest_read`.
    """

    shard: int
    sequence: int
    offset: int
    now_us: int
    code_version: str
    actor: str
    lane: int
    position: int
    message_id: str
    message_type: str
    field: str
    expected: str
    got: str


class Mismatch(NamedTuple):
    """The first field in which two outcomes of one input differ."""

    field: str
    expected: str
    got: str


def verdict_mismatch(given: dict[str, Any], got: bytes | None, contract: Contract) -> Mismatch | None:
    """Compare a recorded input with the one that came out now (None: a timer that is not set)."""
    if got is None:
        return Mismatch("timer", f"{given['timer']} set in generation {given['offset']}", "not set")
    if got == encode_again(given):
        return None
    mine = decode_input(got)
    if mine["verdict"] != given["verdict"]:
        return Mismatch("verdict", given["verdict"], mine["verdict"])
    if _same_answer(mine["answer"], given["answer"], contract):
        return None
    return Mismatch("answer", _answer_text(given["answer"], contract), _answer_text(mine["answer"], contract))


def _same_answer(mine: bytes, recorded: bytes, contract: Contract) -> bool:
    """Tell whether two answers are the same record, if in schemas of two releases."""
    if mine[:5] == recorded[:5] or not (mine and recorded):
        return mine == recorded
    try:
        return contract.decode_body(mine) == contract.decode_body(recorded)
    except MalformedRecord:
        return False


def _answer_text(answer: bytes, contract: Contract) -> str:
    if not answer:
        return "none"
    try:
        return shown(contract.decode_body(answer))
    except MalformedRecord as error:
        return f"{len(answer)} bytes: {error}"


def same_value(mine: bytes, recorded: bytes, contract: Contract) -> bool:
    """Tell whether a value is the recorded one, byte for byte, when it is written with the recorded schema.

    One whose meaning changed since (a version with upcasters) is the same if the recorded one, upcast, is equal.
    """
    if mine == recorded:
        return True
    if mine[:5] == recorded[:5]:
        return False
    try:
        if contract.as_recorded(mine, recorded) == recorded:
            return True
        mine_envelope, mine_record = contract.decode(mine)
        envelope, record = contract.decode(recorded)
    except (MalformedRecord, Unencodable):
        return False
    changed = contract.version_of(mine) != contract.version_of(recorded)
    return changed and mine_envelope == envelope and mine_record == record


def events_mismatch(mine: Sequence[bytes], recorded: Sequence[bytes], contract: Contract) -> Mismatch | None:
    """Return the first event, and the first field of it, that differs."""
    for index in range(max(len(mine), len(recorded))):
        place = f"events[{index}]"
        if index >= len(mine):
            return Mismatch(place, value_text(recorded[index], contract), "nothing")
        if index >= len(recorded):
            return Mismatch(place, "nothing", value_text(mine[index], contract))
        if not same_value(mine[index], recorded[index], contract):
            return value_mismatch(place, mine[index], recorded[index], contract)
    return None


def value_mismatch(place: str, mine: bytes, recorded: bytes, contract: Contract) -> Mismatch:
    """Return the first field in which two values differ."""
    try:
        my_envelope, my_record = contract.decode(mine)
        envelope, record = contract.decode(recorded)
    except MalformedRecord as error:
        return Mismatch(place, value_text(recorded, contract), f"{value_text(mine, contract)} ({error})")
    if my_envelope.type != envelope.type:
        return Mismatch(f"{place}.type", envelope.type, my_envelope.type)
    for name, theirs, ours in _pairs(record, my_record):
        if theirs != ours:
            return Mismatch(f"{place}.{name}", shown(theirs), shown(ours))
    for name, theirs, ours in zip(Envelope._fields, envelope, my_envelope, strict=True):
        if theirs != ours:
            return Mismatch(f"{place}.envelope.{name}", shown(theirs), shown(ours))
    return Mismatch(f"{place}.schema", recorded[1:5].hex(), mine[1:5].hex())


def _pairs(recorded: Any, mine: Any) -> list[tuple[str, Any, Any]]:
    """Return the fields of two records of one type, side by side; of the record inside that differs, its fields."""
    theirs, ours = _fields(recorded), _fields(mine)
    pairs = [(name, theirs.get(name), ours.get(name)) for name in dict.fromkeys((*theirs, *ours))]
    for name, one, other in pairs:
        if one != other and isinstance(one, Record) and type(one) is type(other):
            return [(f"{name}.{inner}", a, b) for inner, a, b in _pairs(one, other)]
    return pairs


def _fields(record: Any) -> dict[str, Any]:
    return dict(record.data) if isinstance(record, Unknown) else dict(record)


def value_text(value: bytes, contract: Contract) -> str:
    """Return a record on the wire for people: its type and fields."""
    try:
        envelope, record = contract.decode(value)
    except MalformedRecord as error:
        return f"{len(value)} bytes: {error}"
    return shown(f"{envelope.type} {shown(_fields(record))}")


def shown(value: Any) -> str:
    """Return a value for people, cut to what fits a line of a table."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"
