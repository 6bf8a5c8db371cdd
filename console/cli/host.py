"""`hms host`: the machines of a fleet, as their actors know them."""

from typing import Any, Final

from cyclopts import App

from ...actors.hosts import HostState, status
from ...actors.hosts import host as behaviour
from ...core.app import App as HmsApp
from ...core.runtime.view import Seen, View
from .exit_codes import Exit, Stop
from .freshness import freshness_line
from .opened import reading
from .options import DEFAULTS, Options
from .plain_value import plain
from .show import Columns, say, show_list, show_one, text

app = App(name="host", help="Hosts: which of them speak, and what runs there.")

KIND: Final = "host/"
COLUMNS: Final[Columns] = {
    "HOST": "id",
    "STATE": "state",
    "COMPONENTS": "components",
    "LEASES": lambda item: text(len(item["leases"])),
    "SINCE": lambda item: text(item["since"] and item["since"][:19] + "Z"),
}


@app.command(name="list")
async def list_hosts(*, options: Options = DEFAULTS) -> None:
    """List the hosts. JSON: an array of `id, state, fleet, boot_id, session, since, components, leases{}`.

    `state` is alive, silent (three heartbeats are missing) or unknown (never heard of); `components` counts what should
    be up there, `leases` maps what may fail over to the incarnation that the host holds the lease for.
    """
    show_list([_item(one) for one in await _look(options.url)], options.form, COLUMNS)


@app.command
async def describe(host: str, /, *, options: Options = DEFAULTS) -> None:
    """Show one host, and what should be up there."""
    found = [one for one in await _look(options.url) if one.address == KIND + host]
    if not found:
        raise Stop(Exit.NOT_FOUND, f"no host {host!r} in {options.url}; `hms host list` shows the ones there are")
    state: HostState = found[0].state
    up = {name: incarnation for name, incarnation in state.components.items() if incarnation}
    show_one({**_item(found[0]), "components": up}, options.form)


async def _look(url: str) -> list[Seen]:
    async with reading(url) as log:
        seen = await View(log, [HmsApp("hms", behaviour)]).actors(lambda address: address.startswith(KIND))
        say(await freshness_line(log))
    return [one for one in seen if one.state.session or one.state.components]


def _item(seen: Seen) -> dict[str, Any]:
    item: dict[str, Any] = plain(status(seen.state, seen.address.removeprefix(KIND)))
    return item
