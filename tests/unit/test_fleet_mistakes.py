"""Every mistake in a fleet file is named with its line and column, what was expected, what came, what to do."""

from typing import NamedTuple

import pytest
import yaml

from hms.actors.fleet import FleetFileInvalid, file_schema, parse_fleet

HEAD = "fleet: shop\ncomponents:\n"
WEB = HEAD + "  - id: web\n    command: [web]\n"
TWO = WEB + "  - id: db\n    command: [db]\n"


class Wrong(NamedTuple):
    """A text with one mistake: where it is, its path, and a part of what is said."""

    text: str
    place: str
    path: str
    said: str
    editor: bool = True
    """Whether JSON Schema can find it too."""


def web(line: str) -> str:
    """Return a file whose line 5 is the one given, at column 5."""
    return f"{WEB}    {line}\n"


SHAPES = {
    "unknown key": Wrong(
        HEAD + "  - id: web\n    comand: [x]\n    command: [x]\n", "4:5", "components[0].comand", "unknown key `comand`"
    ),
    "near key": Wrong(web("enviroment: {}"), "5:5", "components[0].enviroment", "did you mean `environment`?"),
    "far key": Wrong(web("zzz: 1"), "5:5", "components[0].zzz", "remove it; the keys here are id, group, command"),
    "unknown key at the top": Wrong(WEB + "group: []\n", "5:1", "group", "did you mean `groups`?"),
    "unknown key in a group": Wrong(
        WEB + "groups:\n  - {id: g, max_restart: 1}\n", "6:13", "groups[0].max_restart", "did you mean `max_restarts`?"
    ),
    "unknown key in a probe": Wrong(
        web("probes: {liveness: {tcp: 'a:1', period: 5}}"),
        "5:37",
        "components[0].probes.liveness.period",
        "did you mean `period_ms`?",
    ),
    "unknown probe": Wrong(
        web("probes: {livenes: {tcp: 'a:1'}}"), "5:14", "components[0].probes.livenes", "did you mean `liveness`?"
    ),
    "missing id": Wrong(HEAD + "  - command: [x]\n", "3:5", "components[0].id", "expected the key `id`, got nothing"),
    "missing command": Wrong(
        HEAD + "  - id: web\n", "3:5", "components[0].command", "add `command: [PROGRAM, ARGUMENT]`"
    ),
    "missing fleet": Wrong("components: []\n", "1:1", "fleet", "add `fleet: NAME`"),
    "missing components": Wrong("fleet: shop\n", "1:1", "components", "add `components: []`"),
    "command as text": Wrong(
        HEAD + "  - id: web\n    command: run 'a b' c\n",
        "4:14",
        "components[0].command",
        '`command: ["run", "a b", "c"]`',
    ),
    "command as text with an open quote": Wrong(
        HEAD + "  - id: web\n    command: don't\n", "4:14", "components[0].command", '`command: ["don\'t"]`'
    ),
    "empty command": Wrong(
        HEAD + "  - id: web\n    command: []\n", "4:14", "components[0].command", "at least one word, got a list of 0"
    ),
    "number in a command": Wrong(
        HEAD + "  - id: web\n    command: [x, 8080]\n",
        "4:18",
        "components[0].command[1]",
        "text, got the number `8080`; put it in quotes",
    ),
    "boolean in the environment": Wrong(
        web("environment: {A: yes}"),
        "5:22",
        "components[0].environment.A",
        "got true or false: `yes`; put it in quotes",
    ),
    "nothing in the environment": Wrong(
        web("environment: {A: }"), "5:22", "components[0].environment.A", "expected a value, got nothing"
    ),
    "environment as a list": Wrong(
        web("environment: [A=1]"), "5:18", "components[0].environment", "expected a mapping, got a list of 1"
    ),
    "= in a variable's name": Wrong(
        web("environment: {A=1: x}"), "5:19", "components[0].environment.A=1", "leave the `=` away"
    ),
    "key without a value": Wrong(web("probes:"), "5:12", "components[0].probes", "or remove the key"),
    "optional key without a value": Wrong(web("user:"), "5:10", "components[0].user", "or remove the key"),
    "unit on a duration": Wrong(
        web("stop: {grace_ms: 5s}"), "5:22", "components[0].stop.grace_ms", "a whole number, got `5s`; write a plain"
    ),
    "fraction of a millisecond": Wrong(
        web("stop: {grace_ms: 1.5}"), "5:22", "components[0].stop.grace_ms", "a whole number, got the number `1.5`"
    ),
    "quoted duration": Wrong(
        web('stop: {grace_ms: "5000"}'), "5:22", "components[0].stop.grace_ms", "without quotes, in milliseconds"
    ),
    "number that YAML versions read differently": Wrong(
        web("stop: {grace_ms: 01750}"),
        "5:22",
        "components[0].stop.grace_ms",
        "a whole number, got `01750`",
        editor=False,
    ),
    "duration of zero": Wrong(
        web("stop: {grace_ms: 0}"), "5:22", "components[0].stop.grace_ms", "expected at least 1, got the number `0`"
    ),
    "duration over a day": Wrong(
        web("stop: {grace_ms: 86400001}"), "5:22", "components[0].stop.grace_ms", "expected at most 86400000"
    ),
    "jitter over one": Wrong(web("backoff: {jitter: 1.5}"), "5:23", "components[0].backoff.jitter", "at most 1"),
    "jitter that is no number": Wrong(
        web("backoff: {jitter: .nan}"), "5:23", "components[0].backoff.jitter", "a number, got `.nan`", editor=False
    ),
    "boolean for a number": Wrong(
        web("limits: {rss_mb: on}"), "5:22", "components[0].limits.rss_mb", "a whole number, got true or false: `on`"
    ),
    "restart": Wrong(
        web("restart: always"), "5:14", "components[0].restart", "`permanent`, `transient` or `temporary`"
    ),
    "restart misspelt": Wrong(web("restart: transiant"), "5:14", "components[0].restart", "did you mean `transient`?"),
    "strategy": Wrong(
        WEB + "groups:\n  - id: g\n    strategy: rest_for_on\n",
        "7:15",
        "groups[0].strategy",
        "did you mean `rest_for_one`?",
    ),
    "condition": Wrong(
        TWO + "    depends_on: {web: healthy}\n",
        "7:23",
        "components[1].depends_on.web",
        "`started`, `ready` or `completed`",
    ),
    "id with a slash": Wrong(HEAD + "  - {id: a/b, command: [x]}\n", "3:10", "components[0].id", "letters, digits"),
    "fleet as a number": Wrong("fleet: 7\ncomponents: []\n", "1:8", "fleet", "put it in quotes"),
    "component as text": Wrong(HEAD + "  - web\n", "3:5", "components[0]", "expected a mapping, got `web`"),
    "components as a mapping": Wrong(
        "fleet: shop\ncomponents: {web: {}}\n", "2:13", "components", "expected a list, got a mapping"
    ),
    "file as a list": Wrong(
        "- fleet: shop\n", "1:1", "", "expected a mapping, got a list of 1; begin with `fleet: NAME`"
    ),
    "dependencies as text": Wrong(
        TWO + "    depends_on: web\n", "7:17", "components[1].depends_on", "a list of ids, or a mapping of ids"
    ),
    "dependency as a number": Wrong(
        TWO + "    depends_on: [7]\n", "7:18", "components[1].depends_on[0]", "a component's id, got the number `7`"
    ),
    "dependency twice": Wrong(
        TWO + "    depends_on: [web, web]\n",
        "7:23",
        "components[1].depends_on[1]",
        "each dependency once, got `web` again",
    ),
    "long value": Wrong(web(f"restart: {'a' * 90}"), "5:14", "components[0].restart", f"got `{'a' * 60}...`"),
}

VALUES = {
    "port alone": Wrong(
        web("probes: {startup: {tcp: 8080}}"),
        "5:29",
        "components[0].probes.startup.tcp",
        'write for example "127.0.0.1:8080"',
    ),
    "no port": Wrong(
        web("probes: {startup: {tcp: localhost}}"),
        "5:29",
        "components[0].probes.startup.tcp",
        "HOST:PORT",
        editor=False,
    ),
    "port out of range": Wrong(
        web("probes: {startup: {tcp: 'a:70000'}}"),
        "5:29",
        "components[0].probes.startup.tcp",
        "HOST:PORT",
        editor=False,
    ),
    "port zero": Wrong(
        web("probes: {startup: {tcp: 'a:0'}}"), "5:29", "components[0].probes.startup.tcp", "HOST:PORT", editor=False
    ),
    "url for an address": Wrong(
        web("probes: {startup: {tcp: 'http://a:1'}}"),
        "5:29",
        "components[0].probes.startup.tcp",
        "HOST:PORT",
        editor=False,
    ),
    "url without a scheme": Wrong(
        web("probes: {startup: {http: '127.0.0.1:80/'}}"),
        "5:30",
        "components[0].probes.startup.http",
        "expected a URL",
        editor=False,
    ),
    "url without a host": Wrong(
        web("probes: {startup: {http: 'http:///x'}}"),
        "5:30",
        "components[0].probes.startup.http",
        "a URL",
        editor=False,
    ),
    "url with a space": Wrong(
        web("probes: {startup: {http: 'http://a/b c'}}"),
        "5:30",
        "components[0].probes.startup.http",
        "a URL",
        editor=False,
    ),
    "two kinds": Wrong(
        web("probes: {startup: {tcp: 'a:1', http: 'http://a/'}}"),
        "5:23",
        "components[0].probes.startup",
        "exactly one of tcp, http, command, process, got tcp and http",
    ),
    "no kind": Wrong(
        web("probes: {startup: {period_ms: 5}}"), "5:23", "components[0].probes.startup", "got none; add one"
    ),
    "process: false": Wrong(
        web("probes: {startup: {tcp: 'a:1', process: false}}"),
        "5:45",
        "components[0].probes.startup.process",
        "expected true",
    ),
    "two successes of a liveness probe": Wrong(
        web("probes: {liveness: {process: true, success_threshold: 2}}"),
        "5:59",
        "components[0].probes.liveness.success_threshold",
        "1 for a liveness probe",
    ),
    "empty program of a probe": Wrong(
        web("probes: {startup: {command: ['']}}"),
        "5:34",
        "components[0].probes.startup.command[0]",
        "a program",
        editor=False,
    ),
    "signal": Wrong(web("stop: {signal: TREM}"), "5:20", "components[0].stop.signal", "did you mean `TERM`?"),
    "signal in small letters": Wrong(
        web("stop: {signal: int}"), "5:20", "components[0].stop.signal", "did you mean `INT`?"
    ),
    "signal that ends nothing": Wrong(
        web("stop: {signal: CONT}"), "5:20", "components[0].stop.signal", "ends a process"
    ),
    "signal as a number": Wrong(
        web("stop: {signal: 15}"), "5:20", "components[0].stop.signal", "text, got the number `15`"
    ),
    "umask": Wrong(web("umask: '089'"), "5:12", "components[0].umask", "three octal digits, got `089`"),
    "umask in another notation": Wrong(
        web("umask: 0x12"), "5:12", "components[0].umask", "three octal digits, got `0x12`", editor=False
    ),
    "empty user": Wrong(web('user: ""'), "5:11", "components[0].user", "expected a name, got empty text"),
    "empty folder": Wrong(web('working_folder: ""'), "5:21", "components[0].working_folder", "got empty text"),
    "home": Wrong(web("working_folder: ~/x"), "5:21", "components[0].working_folder", "write the whole path"),
    "empty program": Wrong(web('on_give_up: [""]'), "5:18", "components[0].on_give_up[0]", "a program", editor=False),
    "first over longest": Wrong(
        web("backoff: {first_ms: 900, max_ms: 800}"),
        "5:25",
        "components[0].backoff.first_ms",
        "raise max_ms",
        editor=False,
    ),
    "longest under the default first": Wrong(
        web("backoff: {max_ms: 100}"),
        "5:23",
        "components[0].backoff.max_ms",
        "got first_ms 200 and max_ms 100",
        editor=False,
    ),
}

REFERENCES = {
    "unknown group": Wrong(
        WEB + "    group: frnt\ngroups: [{id: front}]\n", "5:12", "components[0].group", "did you mean `front`?"
    ),
    "group that is nowhere": Wrong(
        web("group: front"), "5:12", "components[0].group", "add `- {id: front}` to `groups`"
    ),
    "clash with a group": Wrong(
        WEB + "groups: [{id: web}]\n", "3:9", "components[0].id", "write `group: web` to be in it, or rename"
    ),
    "id twice": Wrong(
        WEB + "  - {id: web, command: [x]}\n",
        "5:10",
        "components[1].id",
        "`web` again; rename one of the two (the first is on line 3)",
    ),
    "group twice": Wrong(
        WEB + "groups:\n  - {id: g}\n  - {id: g}\n", "7:10", "groups[1].id", "`g` again; rename one of the two"
    ),
    "unknown dependency": Wrong(
        TWO + "    depends_on: {wbe: ready}\n", "7:18", "components[1].depends_on.wbe", "did you mean `web`?"
    ),
    "unknown dependency in a list": Wrong(
        TWO + "    depends_on:\n      - zzz\n", "8:9", "components[1].depends_on.zzz", "name a component of this file"
    ),
    "itself": Wrong(web("depends_on: [web]"), "5:18", "components[0].depends_on.web", "the circle web -> web;"),
    "circle of two": Wrong(
        WEB + "    depends_on: [db]\n  - {id: db, command: [x], depends_on: [web]}\n",
        "5:18",
        "components[0].depends_on.db",
        "the circle web -> db -> web;",
    ),
    "circle of three": Wrong(
        HEAD + "  - {id: c, command: [x], depends_on: [b]}\n  - {id: b, command: [x], depends_on: {a: ready}}\n"
        "  - {id: a, command: [x], depends_on: [c]}\n",
        "3:40",
        "components[0].depends_on.b",
        "the circle c -> b -> a -> c;",
    ),
    "completion of what never ends": Wrong(
        TWO + "    depends_on: {web: completed}\n",
        "7:23",
        "components[1].depends_on.web",
        "permanent and never completes",
    ),
    "order against rest_for_one": Wrong(
        "groups: [{id: g, strategy: rest_for_one}]\n"
        + HEAD
        + "  - {id: a, group: g, command: [x], depends_on: [b]}\n  - {id: b, group: g, command: [x]}\n",
        "4:50",
        "components[0].depends_on.b",
        "list `b` before `a`",
    ),
}

EVERY = SHAPES | VALUES | REFERENCES


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(FleetFileInvalid) as caught:
        parse_fleet(text, "fleet.yaml")
    return tuple(map(str, caught.value.mistakes))


@pytest.mark.parametrize("wrong", EVERY.values(), ids=EVERY)
def test_a_mistake_is_named_once_with_its_line_and_column(wrong: Wrong) -> None:
    (said,) = mistakes(wrong.text)
    path = f"{wrong.path}: " if wrong.path else ""
    assert said.startswith(f"fleet.yaml:{wrong.place}: {path}expected ")
    assert wrong.said in said


def test_every_mistake_is_named_in_the_order_of_the_file() -> None:
    text = (
        "fleet: shop\ngroups:\n  - {id: g, strategy: al}\ncomponents:\n  - id: web\n    comand: [x]\n    umask: 9\n"
        "    depends_on: [nobody]\n    group: gg\n  - id: web\n    command: [x, 1]\n    probes: {startup: {tcp: x}}\n"
    )
    places = [said.split(": ")[0].removeprefix("fleet.yaml:") for said in mistakes(text)]
    assert places == ["3:23", "5:5", "6:5", "7:12", "8:18", "9:12", "10:9", "11:18", "12:29"]


def test_two_circles_are_both_named() -> None:
    pair = "  - {{id: {0}, command: [x], depends_on: [{1}]}}\n"
    text = HEAD + pair.format("a", "b") + pair.format("b", "a") + pair.format("c", "d") + pair.format("d", "c")
    assert [said.split("circle ")[1].split(";")[0] for said in mistakes(text)] == ["a -> b -> a", "c -> d -> c"]


def test_components_that_all_depend_on_each_other_give_twenty_circles_and_no_more() -> None:
    names = [f"c{n}" for n in range(40)]
    text = HEAD + "".join(f"  - {{id: {name}, command: [x], depends_on: [{', '.join(names)}]}}\n" for name in names)
    assert len(mistakes(text)) == 20


def test_a_mistake_in_an_anchor_is_named_once_however_many_use_it() -> None:
    text = HEAD + "  - &a {id: a, command: [a], umask: '9'}\n" + "  - {<<: *a, id: b}\n  - {<<: *a, id: c}\n"
    assert len(mistakes(text)) == 1


@pytest.mark.parametrize("wrong", (SHAPES | VALUES).values(), ids=SHAPES | VALUES)
def test_an_editor_underlines_what_a_json_schema_can_know(wrong: Wrong) -> None:
    jsonschema = pytest.importorskip(
        "jsonschema", reason="jsonschema checks what editors accept: pip install jsonschema"
    )
    fits = jsonschema.Draft202012Validator(file_schema()).is_valid(yaml.safe_load(wrong.text))
    assert fits is not wrong.editor
