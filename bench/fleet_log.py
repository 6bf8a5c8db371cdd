"""Components of the real behaviour, configured and running, without a process behind any of them."""

import running
from counter import APPEND_RECORDS, batches

from hms import App, Client, connect
from hms.actors.app import hms_app
from hms.core.log import open_log
from hms.core.runtime.node import Node
from hms.schemas import Message
from hms.schemas.component_reports import ReportProbe, ReportStarted
from hms.schemas.fleet import ComponentSpec
from hms.schemas.member import ConfigureComponent, StartMember

HOST, BOOT = "bench", "00000000-0000-0000-0000-000000000000"
STEPS = 4
app: App = hms_app


def steps(number: int) -> list[tuple[str, Message]]:
    """What its group and its host's agent tell a component, and who says it, until it runs and is ready."""
    group = f"group-{number % 100}"
    spec = ComponentSpec(id=f"c{number}", group=group, command=("serve", f"--port={number}"))
    from_group, from_agent = f"group/{group}", f"agent/h{number // 200}"
    told = {"host": HOST, "incarnation": 1, "session": 1}
    return [
        (from_group, ConfigureComponent(spec=spec, spec_hash=f"{number:064x}", group=group, host=HOST)),
        (from_group, StartMember(group=group, after=0, reason="configured", healing=False)),
        (from_agent, ReportStarted(**told, sequence=2 * number + 1, boot_id=BOOT, pid=number + 2, start_ticks=number)),
        (from_agent, ReportProbe(**told, sequence=2 * number + 2, probe="readiness", passed=True)),
    ]


async def components(url: str, count: int) -> dict[str, int]:
    """Make a log of so many, their checkpoints written."""
    running.relax()
    log = await open_log(url)
    async with Node(log, [app], name="bench") as node, connect(log, name="bench") as client:
        for numbers in batches(count, APPEND_RECORDS // STEPS):
            await _bring_up(client, numbers)
        await running.wait_clean(node)
    await log.close()
    return {"components": count}


async def _bring_up(client: Client, numbers: range) -> None:
    drafts = []
    for number in numbers:
        for client.source, message in steps(number):
            drafts.append(await client._draft(f"component/c{number}", message, client._new_id(), None, "high", None))
    await client.log.append(drafts)
