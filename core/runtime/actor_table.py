"""The actors of a shard: live ones decoded, the others as encoded bytes, and which of them a restore would have to fold."""

from itertools import islice

from ...schemas import Contract
from .cell import Cell
from .checkpoint_record import cell_of, encode_checkpoint
from .installed import Behaviours


class ActorTable:
    """Cells by address, least recently used first; activated on demand."""

    def __init__(self, behaviours: Behaviours, live_max: int) -> None:
        self._behaviours = behaviours
        self._live_max = live_max
        self._live: dict[str, Cell] = {}
        self._packed: dict[str, bytes] = {}
        self.dirty: dict[str, int] = {}
        """Address -> offset of the first event that no checkpoint holds, oldest first."""

    @property
    def _contract(self) -> Contract:
        return self._behaviours.contract

    def __len__(self) -> int:
        return len(self._live) + len(self._packed)

    @property
    def live_count(self) -> int:
        """How many are decoded."""
        return len(self._live)

    def addresses(self) -> list[str]:
        """Return every address that has a state."""
        return [*self._live, *self._packed]

    def get(self, address: str) -> Cell | None:
        """Return the actor, activated; a new one if it never had an event; None without a behaviour of that name."""
        cell = self._live.pop(address, None) or self._activate(address)
        if cell is not None:
            self._live[address] = cell
        return cell

    def _activate(self, address: str) -> Cell | None:
        installed = self._behaviours.of(address)
        if installed is None:
            return None
        packed = self._packed.get(address)
        if packed is None:
            return Cell(address, installed)
        cell = cell_of(address, installed, packed, self._contract)
        del self._packed[address]  # only now: a state that cannot be read must not become an empty one
        return cell

    def put_packed(self, address: str, body: bytes) -> None:
        """Add an actor in its encoded form (a checkpoint's body whose code is the running one)."""
        self._packed[address] = body

    def discard_new(self, address: str) -> None:
        """Forget an actor that a failed handling activated and that has no event."""
        cell = self._live.get(address)
        if cell is not None and cell.count == 0:
            del self._live[address]

    def mark_dirty(self, address: str, offset: int) -> None:
        """Note that the log holds an event from `offset` on that no checkpoint of the actor holds."""
        self.dirty.setdefault(address, offset)

    def passivate(self) -> None:
        """Encode the least recently used actors beyond the bound."""
        for address in list(islice(self._live, max(0, len(self._live) - self._live_max))):
            cell = self._live.pop(address)
            try:
                if cell.count:
                    self._packed[address] = encode_checkpoint(cell, self._contract, cell.sequence)
            except Exception:  # noqa: BLE001 - a state that no record can hold stays decoded
                self._live[address] = cell
