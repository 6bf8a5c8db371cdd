"""What can become of an input, from `hms.core.runtime.verdict`."""

from hms.core.runtime import verdict

from . import markdown

WHAT = {
    verdict.DECIDED: ("`decide` accepted it", "its events, messages, timers and answer are in the same commit"),
    verdict.REFUSED: (
        "`decide` refused it, or its id is older than the horizon",
        "the refusal, to `reply_to` or to a sender that is an actor",
    ),
    verdict.DUPLICATE: (
        "an input from outside with a known (source, id, actor), or an effect's second result",
        "the recorded answer again",
    ),
    verdict.EXPIRED: ("its `ttl_ms` since the append are over", "`message_timeout`"),
    verdict.MALFORMED: (
        "not a record, of an unknown schema, or key, headers and envelope disagree",
        "a dead letter; `message_format_error` where its sender can be read",
    ),
    verdict.FORWARDED: ("it stood in the partition of another shard", "the message, in the right partition"),
    verdict.FAILED: ("`decide` raised, or it killed the shard repeatedly", "a dead letter"),
    verdict.QUARANTINED: ("its actor is quarantined: `evolve` failed on its own event", "a dead letter"),
    verdict.UNDELIVERABLE: (
        "no such behaviour, or it does not take that type",
        "a dead letter; `destination_not_found` or `validation_error`",
    ),
    verdict.CANCELLED: ("reserved: no input gets it in this release", "nothing"),
}
INTRODUCTION = """Every input that a shard consumes (a message of a lane, or a timer) gets one verdict, in the
commit record of the transaction that consumed it: `hms event list --type Commit --all`, field
`data.inputs[].verdict`. Verdicts are strings; the set may grow."""


def page() -> str:
    """Return docs/reference/verdicts.md."""
    names = [value for name, value in vars(verdict).items() if name.isupper()]
    rows = [(f"`{name}`", *WHAT[name]) for name in names]
    return markdown.page("Verdicts", INTRODUCTION, markdown.table(("verdict", "when", "what follows"), rows))
