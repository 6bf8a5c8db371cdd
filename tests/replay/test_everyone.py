"""All actors at an instant, from nothing and from an archived snapshot of states."""

import asyncio

import pytest

from hms.replay.past import everyone as module
from hms.replay.past.everyone import everyone_at

from . import shop as shops

APPS = ("hms.actors.app:hms_app", shops.APP)
FAR = 1 << 55


def everyone(url: str, at_us: int = FAR, *, processes: int = 1) -> dict[str, tuple[int, int]]:
    found = asyncio.run(everyone_at(url, None, APPS, at_us, processes=processes))
    assert len(found) == len(found.addresses())
    seen = [found.actor(address) for address in found.addresses("account/*")]
    return {one.address: (one.state.cents, one.event_count) for one in seen if one is not None}


def test_all_actors_are_there_with_their_states(shop_log: str) -> None:
    found = everyone(shop_log)
    assert {name: cents for name, (cents, _) in found.items()} == {"account/anna": 700, "account/ben": 300}


def test_before_the_first_commit_there_is_nobody(shop_log: str) -> None:
    assert everyone(shop_log, 1) == {}


def test_two_processes_come_to_the_same(monkeypatch: pytest.MonkeyPatch, shop_log: str) -> None:
    monkeypatch.setattr(module, "SMALL_EVENTS", 0)
    assert everyone(shop_log, processes=2) == everyone(shop_log)
