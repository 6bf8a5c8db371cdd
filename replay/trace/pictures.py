"""A tree as Graphviz's DOT, and as one HTML page that needs nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final

from ...schemas.envelope import AT_US_MAX
from .tree import Node

COLOURS: Final = {
    "message": "#2563eb",
    "event": "#15803d",
    "timer": "#a16207",
    "effect": "#7e22ce",
    "dead letter": "#b91c1c",
}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DATA_CHARS_MAX: Final = 2_000
STYLE: Final = """
body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#1f2937;background:#fff}
ul{list-style:none;margin:0;padding-left:1.4rem;border-left:1px solid #d1d5db}
li{position:relative}summary{cursor:pointer}code{color:#4b5563}
.kind{display:inline-block;min-width:5.5rem;font-weight:600}.after{color:#6b7280;font-variant-numeric:tabular-nums}
.asked>details>summary,.asked>.leaf{background:#fef3c7}
.line{height:3px;background:#e5e7eb;margin:1px 0 4px;max-width:40rem}.line i{display:block;height:3px;width:3px}
pre{white-space:pre-wrap;word-break:break-word;color:#4b5563;margin:.2rem 0 .4rem 1rem}
@media(prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}code,pre{color:#9ca3af}.asked>details>summary{background:#713f12}}
"""


def dot(root: Node) -> str:
    """Return the tree as DOT: `dot -Tsvg` makes a picture of it."""
    nodes = [node for _, node in root.walk()]
    numbers = {id(node): number for number, node in enumerate(nodes)}
    lines = ["digraph trace {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif", fontsize=10];']
    for number, node in enumerate(nodes):
        label = "\\n".join(map(_quoted, (node.type, who(node), clock(node.at_us))))
        width = 3 if node.asked_for else 1
        lines.append(f'  n{number} [label="{label}", color="{COLOURS[node.kind]}", penwidth={width}];')
    for node in nodes:
        lines += [
            f'  n{numbers[id(node)]} -> n{numbers[id(one)]} [label="{after(one)}", fontsize=9];'
            for one in node.consequences
        ]
    return "\n".join((*lines, "}"))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def html(root: Node) -> str:
    """Return the tree as a page: causes to be opened and closed, each with its instant on a line of the whole."""
    nodes = [node for _, node in root.walk()]
    first, last = min(node.at_us for node in nodes), max(node.at_us for node in nodes)
    asked = next((node for node in nodes if node.asked_for), root)
    title = escape(f"{asked.type} {asked.id}")
    before = f"<p>{root.earlier} causes before the first, not shown.</p>" if root.earlier else ""
    body = "".join(_item(root, first, max(1, last - first)))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1><p>{len(nodes)} steps from {escape(clock(first))} to {escape(clock(last))} (UTC), "
        f"{(last - first) / 1_000:,.1f} ms. What was asked for is marked.</p>{before}<ul>{body}</ul></body></html>\n"
    )


def _item(node: Node, first_us: int, span_us: int) -> Iterator[str]:
    yield '<li class="asked">' if node.asked_for else "<li>"
    yield f'<details open=""><summary>{_summary(node)}</summary>'
    left = 100 * (node.at_us - first_us) / span_us
    yield f'<div class="line"><i style="margin-left:{left:.2f}%;background:{COLOURS[node.kind]}"></i></div>'
    yield f"<pre>{escape(_facts(node))}</pre>"
    if node.consequences:
        yield "<ul>"
        for one in node.consequences:
            yield from _item(one, first_us, span_us)
        yield "</ul>"
    if node.left_out:
        yield f"<p>and {node.left_out} more, not shown</p>"
    yield "</details></li>"


def _summary(node: Node) -> str:
    verdict = f" <code>{escape(node.handled.verdict)}</code>" if node.handled else ""
    return (
        f'<span class="kind" style="color:{COLOURS[node.kind]}">{escape(node.kind)}</span> <b>{escape(node.type)}</b> '
        f'{escape(who(node))}{verdict} <span class="after">{escape(clock(node.at_us))} {escape(after(node))}</span>'
    )


def _facts(node: Node) -> str:
    data = " ".join(f"{name}={value}" for name, value in node.data.items())
    place = "" if node.place is None else f"{node.place[0]}/{node.place[1]}@{node.place[2]} {node.id}\n"
    return place + (data if len(data) <= DATA_CHARS_MAX else data[:DATA_CHARS_MAX] + "…")


def who(node: Node) -> str:
    """Return whose step it is; of a message, who sent it to whom."""
    return node.source if node.source == node.destination else f"{node.source} -> {node.destination}"


def clock(at_us: int) -> str:
    """Return an instant to the millisecond, UTC."""
    return (EPOCH + timedelta(microseconds=min(at_us, AT_US_MAX))).isoformat(" ", "milliseconds")[:23]


def after(node: Node) -> str:
    """Return how long after its cause a step came."""
    if node.after_us is None:
        return ""
    seconds = node.after_us / 1_000_000
    return f"{seconds:+,.1f} s" if abs(seconds) >= 1 else f"{node.after_us / 1_000:+,.1f} ms"
