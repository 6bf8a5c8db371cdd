"""A proof that one event is in a signed history: made with the log, checked without it.

It holds the event, the hashes beside it in its commit, the commit record, the path from there to the root of a shard's
tree, the signed checkpoint with that root, and the schema by which the event is read (whose id is the hash of its text).
With an older checkpoint, also that its tree is the beginning of the newer one.
"""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, ValidationError

from ...schemas import FRAME_BYTES, Contract, ContractError, Envelope, Unknown
from ..archive.manifest import reason
from .errors import NotAProof
from .keys import PublicKey
from .note import Note, parse
from .tree import Step, event_hash, events_root, is_consistent, leaf, root_by_inclusion, root_by_steps, steps_to_root
from .trust import Standing, Trust

FORMAT: Final = "hms-audit-proof/1"


def _decoded(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return base64.b64decode(value, validate=True)


Base64 = Annotated[
    bytes, PlainValidator(_decoded), PlainSerializer(lambda value: base64.b64encode(value).decode(), return_type=str)
]


class ProvedStep(BaseModel):
    """One level within a commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: int
    others: tuple[Base64, ...]


class Proof(BaseModel):
    """The file; bytes are base64. `steps` is empty where the commit record itself is proved (`value` is then its value).

    `position` says where to look in the log; nobody signs that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["hms-audit-proof/1"] = FORMAT
    shard: int
    position: int
    key: Base64
    value: Base64
    steps: tuple[ProvedStep, ...]
    commit: Base64
    events_root: Base64
    index: int
    path: tuple[Base64, ...]
    checkpoint: str
    keys: tuple[str, ...]
    writer_schema: str
    older: str | None = None
    consistency: tuple[Base64, ...] = ()


class Proved(NamedTuple):
    """What a proof proves: the event, in which commit, and who signed it; `trusted` says whether anybody vouches for that."""

    envelope: Envelope
    data: dict[str, Any]
    shard: int
    commit: int
    note: Note
    signers: tuple[str, ...]
    trusted: bool
    older: Note | None


def read_proof(text: str) -> Proof:
    """Return the proof of a file. Raises `NotAProof`."""
    try:
        return Proof.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        raise NotAProof(
            f"expected a proof as `hms audit prove` writes it, got something else: {reason(error)}"
        ) from None


def check(proof: Proof, trust: Trust | None) -> Proved:
    """Return what a proof proves. Raises `NotAProof` where it does not hold; without `trust`, nobody vouches for the keys."""
    note = parse(proof.checkpoint)
    root = _root(proof)
    if root != note.checkpoint.root:
        raise _broken("the root of the signed checkpoint", note.checkpoint.root, root)
    if not note.checkpoint.origin.endswith(f"/shard-{proof.shard}"):
        raise NotAProof(f"expected a checkpoint of shard {proof.shard}, got {note.checkpoint.origin}")
    signers = _signers(proof, note, trust)
    older = _older(proof, note, trust)
    envelope, data = _read(proof)
    return Proved(envelope, data, proof.shard, proof.index, note, signers, trust is not None, older)


def _root(proof: Proof) -> bytes:
    """Return the root that the proof leads to."""
    try:
        if proof.steps:
            steps = [Step(step.place, list(step.others)) for step in proof.steps]
            events = root_by_steps(event_hash(proof.key, proof.value), steps)
            if events != proof.events_root:
                raise _broken("the root over the events of its commit", proof.events_root, events)
        elif proof.value != proof.commit:
            raise NotAProof("a proof without steps is of the commit record itself, but this one's value is another")
        hashed = leaf(proof.commit, proof.events_root)
        return root_by_inclusion(hashed, proof.index, parse(proof.checkpoint).checkpoint.size, proof.path)
    except ValueError as error:
        raise NotAProof(f"the proof leads nowhere: {error}") from None


def _signers(proof: Proof, note: Note, trust: Trust | None) -> tuple[str, ...]:
    keys = tuple(PublicKey.parse(key) for key in proof.keys)
    standing = (trust or Trust(keys)).standing(note, proof.shard)
    if standing is not Standing.GOOD:
        raise NotAProof(f"the checkpoint is {standing}; --trust takes a file with the keys that count")
    return tuple(str(key) for key in (trust.keys if trust else keys) if note.signed_by(key))


def _older(proof: Proof, note: Note, trust: Trust | None) -> Note | None:
    if proof.older is None:
        return None
    older = parse(proof.older)
    standing = (trust or Trust(tuple(PublicKey.parse(key) for key in proof.keys))).standing(older, proof.shard)
    if standing is Standing.FORGED or (trust is not None and standing is not Standing.GOOD):
        raise NotAProof(f"the older checkpoint is {standing}")
    old, new = older.checkpoint, note.checkpoint
    if old.origin != new.origin or not is_consistent(old.size, old.root, new.size, new.root, proof.consistency):
        raise NotAProof(f"the older checkpoint ({old.size} commits) is not the beginning of the newer one ({new.size})")
    return older


def _read(proof: Proof) -> tuple[Envelope, dict[str, Any]]:
    """Read the event by the schema that is in the proof: its id, which the event carries, is the hash of its text."""
    contract = Contract()
    try:
        contract.learn(int.from_bytes(proof.value[1:FRAME_BYTES], "big"), proof.writer_schema)
        envelope, record = contract.decode(proof.value)
    except ContractError as error:
        raise NotAProof(f"the event cannot be read by the schema that came with it: {error}") from None
    return envelope, record.data if isinstance(record, Unknown) else dict(record)


def _broken(what: str, expected: bytes, got: bytes) -> NotAProof:
    return NotAProof(f"the proof does not hold: expected {what}, {expected.hex()[:16]}, got {got.hex()[:16]}")


def event_steps(hashes: Sequence[bytes], index: int) -> tuple[tuple[ProvedStep, ...], bytes]:
    """Return what proves one event of a commit, and the root over all of them."""
    steps = steps_to_root(list(hashes), index)
    return tuple(ProvedStep(place=step.place, others=tuple(step.others)) for step in steps), events_root(list(hashes))
