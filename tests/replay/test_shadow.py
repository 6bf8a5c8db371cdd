"""Other code decides what was recorded, shut in: hms replay shadow."""

import json
import zipfile
from pathlib import Path

import duckdb
import pytest

from hms.schemas import partition_of

from . import shop as shops
from .conftest import Hms

GENEROUS = ("accept(Deposited(cents=message.cents)", "accept(Deposited(cents=message.cents + 1)")


def shadowed(hms: Hms, url: str, *arguments: str) -> tuple[int, dict[str, object]]:
    code, out, err = hms("replay", "shadow", "--app", shops.APP, "--log", url, "-o", "json", *arguments)
    assert out, err
    return code, json.loads(out)


def test_the_same_code_passes_the_gate(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    code, found = shadowed(hms, shop_log, "--code", str(shops.write_module(tmp_path)))
    assert (code, found["passed"], found["diverged"], found["differences"]) == (0, True, 0, [])
    assert found["inputs"] > 20
    assert found["sends_unchecked"] == 0


def test_other_code_fails_the_gate_and_what_differs_is_shown_by_kind(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    code, found = shadowed(hms, shop_log, "--code", str(shops.write_module(tmp_path, GENEROUS)))
    assert code == 9
    (kind,) = found["differences"]
    assert (kind["behaviour"], kind["field"]) == ("account", "events[0].cents")
    assert int(kind["got"]) == int(kind["expected"]) + 1
    assert kind["count"] == found["diverged"] >= 15


def test_a_threshold_lets_some_differences_pass(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    folder = str(shops.write_module(tmp_path, GENEROUS))
    _, found = shadowed(hms, shop_log, "--code", folder)
    share = 100 * found["share"]
    assert shadowed(hms, shop_log, "--code", folder, "--fail-above", str(share + 1))[0] == 0
    assert shadowed(hms, shop_log, "--code", folder, "--fail-above", str(share - 1))[0] == 9


def test_in_free_run_the_states_go_on_from_the_candidates_events(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    once = ("cents=message.cents), reply", "cents=message.cents + (state.cents == 500)), reply")
    folder = str(shops.write_module(tmp_path, once))
    _, lockstep = shadowed(hms, shop_log, "--code", folder)
    _, free = shadowed(hms, shop_log, "--code", folder, "--free-run")
    assert lockstep["diverged"] == 1
    assert free["diverged"] > 5, "each later answer tells the balance, which is one more from then on"


def test_a_message_that_would_be_sent_otherwise_is_a_difference(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    more = ("Deposit(cents=message.cents))\n", "Deposit(cents=message.cents + 1))\n")
    _, found = shadowed(hms, shop_log, "--code", str(shops.write_module(tmp_path, more)))
    assert {kind["field"] for kind in found["differences"]} == {"sends.cents"}


def test_a_wheel_is_a_candidate_too(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    folder = shops.write_module(tmp_path, GENEROUS)
    wheel = tmp_path / "shop-2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(folder / f"{shops.MODULE}.py", f"{shops.MODULE}.py")
    assert shadowed(hms, shop_log, "--wheel", str(wheel))[0] == 9


@pytest.mark.parametrize("name", ["found.parquet", "found.jsonl"])
def test_the_differences_are_a_table_that_sql_can_join(hms: Hms, tmp_path: Path, shop_log: str, name: str) -> None:
    table = tmp_path / name
    _, found = shadowed(hms, shop_log, "--code", str(shops.write_module(tmp_path, GENEROUS)), "--table", str(table))
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT count(*), count(DISTINCT (message_topic, shard, message_position)), min(actor) "
            "FROM query_table([?]) WHERE field = 'events[0].cents' AND actor LIKE 'account/%'",
            [str(table)],
        ).fetchone()
    assert rows == (found["diverged"], found["diverged"], "account/anna")


def test_a_table_of_a_format_that_there_is_not_is_refused(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    code, _, err = hms(
        *("replay", "shadow", "--code", str(tmp_path), "--app", shops.APP, "--log", shop_log, "--table", "x.xlsx")
    )
    assert code == 1
    assert "*.parquet or *.jsonl" in err


def test_promise_8_a_candidate_changes_nothing_in_the_log(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    before = shops.marks_of(shop_log)
    shadowed(hms, shop_log, "--code", str(shops.write_module(tmp_path, GENEROUS)))
    assert shops.marks_of(shop_log) == before


# --- hostile code ----------------------------------------------------------------------------------------------------

HOSTILE = {
    "open for writing": "open(TARGET, 'w')",
    "os.open that creates": "os.open(TARGET, os.O_CREAT)",
    "os.open that truncates": "os.open(KEPT, os.O_RDONLY | os.O_TRUNC)",
    "append": "open(KEPT, 'a')",
    "unlink": "os.unlink(KEPT)",
    "rename": "os.rename(KEPT, TARGET)",
    "mkdir": "os.mkdir(TARGET)",
    "chmod": "os.chmod(KEPT, 0)",
    "truncate": "os.truncate(KEPT, 0)",
    "socket": "socket.socket()",
    "unix socket pair": "socket.socketpair()",
    "fork": "os.fork()",
    "subprocess": "subprocess.run(['touch', TARGET])",
    "posix_spawn": "os.posix_spawn('/bin/sh', ['sh', '-c', f'touch {TARGET}'], {})",
    "thread": "threading.Thread(target=print).start()",
    "signal to the parent": "os.kill(os.getppid(), 0)",
    "limits of the parent": "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))",
    "memory of the parent": "open(f'/proc/{os.getppid()}/mem', 'r+b')",
    "ctypes open": "libc(LIBC.open(TARGET.encode(), os.O_CREAT | os.O_WRONLY, 0o600))",
    "ctypes fork": "libc(LIBC.fork())",
    "ctypes system call socket": "libc(LIBC.syscall(41 if X86 else 198, 2, 1, 0))",
    "ctypes system call clone3": "libc(LIBC.syscall(435, 0, 0))",
    "ctypes openat2": "libc(LIBC.syscall(437, -100, TARGET.encode(), 0, 0))",
    "ctypes io_uring": "libc(LIBC.syscall(425, 1, 0))",
    "ctypes memfd": "libc(LIBC.syscall(319 if X86 else 279, b'x', 0))",
    "ctypes ptrace": "libc(LIBC.ptrace(16, os.getppid(), 0, 0))",
    "ctypes prctl": "libc(LIBC.prctl(22, 0, 0, 0, 0))",
    "a descriptor that signals": "libc(LIBC.fcntl(0, 8, os.getppid()))",
    "much memory": "bytearray(8 << 30)",
}
PROBE = """
import ctypes, functools, os, platform, resource, socket, subprocess, threading
TARGET, KEPT = {target!r}, {kept!r}
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
def libc(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result
@functools.cache
def attempts():
    found = {{}}
    for name, code in {hostile!r}.items():
        try:
            eval(code)
        except (OSError, RuntimeError, MemoryError) as error:
            continue
        found[name] = "was let through"
    return found
"""


def test_hostile_code_can_neither_write_nor_send_nor_start_anything(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    target, kept = tmp_path / "target", tmp_path / "kept"
    kept.write_text("kept")
    probe = PROBE.format(target=str(target), kept=str(kept), hostile=HOSTILE)
    folder = shops.write_module(
        tmp_path / "code",
        ("class Balance", f"{probe}\nclass Balance"),
        (
            "        case Deposit():\n",
            "        case Deposit() if attempts():\n            raise ValueError(attempts())\n        case Deposit():\n",
        ),
    )
    code, found = shadowed(hms, shop_log, "--code", str(folder))
    assert found["differences"] == [], "what was let through makes `decide` raise, and its verdict another one"
    assert code == 0
    assert not target.exists()
    assert kept.read_text() == "kept"
    assert kept.stat().st_mode & 0o400


def test_the_probe_bites_where_nobody_is_shut_in(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    hostile = {"unlink": HOSTILE["unlink"]}
    probe = PROBE.format(target=str(tmp_path / "target"), kept=str(kept), hostile=hostile)
    guard = "        case Deposit() if attempts():\n            raise ValueError\n        case Deposit():\n"
    folder = shops.write_module(
        tmp_path / "code", ("class Balance", f"{probe}\nclass Balance"), ("        case Deposit():\n", guard)
    )
    code, found = shadowed(hms, shop_log, "--code", str(folder), "--trusted")
    assert code == 9
    assert found["differences"][0]["field"] == "verdict"
    assert not kept.exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("raise RuntimeError('no such thing')", "no such thing"),
        ("import os; os._exit(3)", "ended with exit code 3"),
        ("import os; os.write(3, b'rubbish\\n')", "no line of JSON"),
    ],
)
def test_a_candidate_that_ends_or_lies_is_an_error_with_its_last_words(
    hms: Hms, tmp_path: Path, shop_log: str, line: str, words: str
) -> None:
    folder = shops.write_module(tmp_path, ("class Balance", f"{line}\nclass Balance"))
    code, out, err = hms("replay", "shadow", "--code", str(folder), "--app", shops.APP, "--log", shop_log)
    assert (code, out) == (1, "")
    assert words in err


def test_a_candidate_that_tells_more_differences_than_there_are_inputs_is_not_believed(
    hms: Hms, tmp_path: Path, shop_log: str
) -> None:
    lie = json.dumps({"divergence": [0, 0, 0, 0, "", "a/b", 0, 0, "", "", "events", "", ""]})
    flood = f"import os; os.write(3, {(lie + chr(10)) * 1_000!r}.encode())"
    folder = shops.write_module(tmp_path, ("class Balance", f"{flood}\nclass Balance"))
    table = tmp_path / "found.jsonl"
    code, _, err = hms(
        *("replay", "shadow", "--code", str(folder), "--app", shops.APP, "--log", shop_log, "--table", str(table))
    )
    assert code == 1
    assert "more" in err
    assert not table.exists()


def test_a_candidate_that_comes_to_no_end_is_ended(
    hms: Hms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shop_log: str
) -> None:
    monkeypatch.setattr("hms.replay.shadow.process.STALL_S", 3.0)
    folder = shops.write_module(tmp_path, ("    match message:\n", "    while True: pass\n    match message:\n"))
    code, _, err = hms("replay", "shadow", "--code", str(folder), "--app", shops.APP, "--log", shop_log)
    assert code == 1
    assert "said nothing for 3 s" in err


def test_a_candidate_that_leaves_in_peace_before_the_end_does_not_pass(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    leaving = ("    match message:\n", "    import os; os._exit(0)\n    match message:\n")
    order = ("--code", str(shops.write_module(tmp_path, leaving)), "--app", shops.APP, "--log", shop_log)
    shard = str(partition_of("account/anna", shops.PARTITIONS))
    code, out, err = hms("replay", "shadow", *order, "--shard", shard)
    assert (code, out) == (1, ""), "all that it was to decide was in the pipe already, and nobody missed an answer"
    assert "ended" in err or "closed its pipe" in err


def test_a_candidate_that_never_stops_talking_is_ended(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    folder = shops.write_module(
        tmp_path, ("class Balance", "import os\nwhile True: os.write(3, b'{}' + bytes([10]))\nclass Balance")
    )
    code, _, err = hms("replay", "shadow", "--code", str(folder), "--app", shops.APP, "--log", shop_log)
    assert code == 1
    assert "lines, got more" in err


def test_a_number_that_is_none_is_an_error_and_no_crash(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    said = '{"shard": 0, "commits": 1e999}\n'
    folder = shops.write_module(
        tmp_path, ("class Balance", f"import os; os.write(3, {said.encode()!r})\nclass Balance")
    )
    code, out, err = hms("replay", "shadow", "--code", str(folder), "--app", shops.APP, "--log", shop_log)
    assert (code, out) == (1, "")
    assert "the candidate's process said" in err


def test_a_gate_that_has_compared_nothing_does_not_pass(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    folder = str(shops.write_module(tmp_path))
    since = ("--since", "2100-01-01")
    code, out, err = hms("replay", "shadow", "--code", folder, "--app", shops.APP, "--log", shop_log, *since)
    assert (code, out) == (1, "")
    assert "has compared nothing" in err


def test_a_wheel_that_cannot_be_unpacked_is_refused(hms: Hms, tmp_path: Path, shop_log: str) -> None:
    wheel = tmp_path / "shop-2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("shop.py", "")
        archive.infolist()[0].compress_type = 99  # in the directory, which is written last: a way that nobody knows
    code, _, err = hms("replay", "shadow", "--wheel", str(wheel), "--app", shops.APP, "--log", shop_log)
    assert code == 1
    assert "expected a wheel" in err


def test_a_candidate_is_named_once(hms: Hms, shop_log: str) -> None:
    assert hms("replay", "shadow", "--log", shop_log)[0] == 2
    assert hms("replay", "shadow", "--code", "a", "--wheel", "b", "--log", shop_log)[0] == 2
