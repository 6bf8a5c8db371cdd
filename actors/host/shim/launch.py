"""Start the component: its own session, environment, folder, user, limits; and a clear word if that cannot be done."""

import ctypes
import os
import pwd
import resource
import signal
from typing import Any, NoReturn

from .tree import LINUX

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FAILED = 127


class LaunchFailed(Exception):
    """The command was never executed; the text says at which step and why."""


def become_subreaper() -> None:
    """Let orphaned descendants come to this process, whatever session they fled to (Linux; elsewhere they escape)."""
    if LINUX:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def launch(plan: dict[str, Any], umask: int) -> tuple[int, int]:
    """Start what the plan says; return (pid, reading end of its output).

    Raises:
        LaunchFailed: The reason in words; nothing is left behind.

    """
    output, output_end = os.pipe()
    failure, failure_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(plan, umask, output_end, failure_end)
    os.close(output_end)
    os.close(failure_end)
    reason = _read_all(failure)
    if not reason:
        return pid, output
    os.close(output)
    os.waitpid(pid, 0)
    raise LaunchFailed(reason)


def _become(plan: dict[str, Any], umask: int, output: int, failure: int) -> NoReturn:
    parent = os.getppid()
    try:
        _detach(output)
        os.umask(int(plan["umask"], 8) if plan["umask"] else umask)
        _limit_files(plan["open_files"])
        environment = dict(plan["environment"])
        if plan["user"]:
            _change_user(plan["user"], environment, output)
        _enter(plan["working_folder"])
        _die_with(parent)
        _execute(plan["command"], environment)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear it
        os.write(failure, str(error).encode()[:4096] or repr(error).encode())
    os._exit(FAILED)


def _detach(output: int) -> None:
    os.setsid()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _limit_files(count: int | None) -> None:
    if count is None:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
    except (ValueError, OSError) as error:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        raise LaunchFailed(f"open_files {count}: this user may have at most {hard} ({error})") from error


def _change_user(name: str, environment: dict[str, str], output: int) -> None:
    try:
        user = pwd.getpwnam(name)
    except KeyError as error:
        raise LaunchFailed(f"user {name!r}: there is no such user on this host") from error
    if user.pw_uid == os.geteuid():
        return
    try:
        os.fchown(output, user.pw_uid, user.pw_gid)  # else it could not open /dev/stdout
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except PermissionError as error:
        raise LaunchFailed(f"user {name!r}: only root may start a component as another user ({error})") from error
    environment.update(HOME=user.pw_dir, USER=name, LOGNAME=name)


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise LaunchFailed(f"working folder {folder!r}: {error.strerror}") from error


def _die_with(parent: int) -> None:
    # After the change of user, which clears it. If the parent died before, nobody would tell: look.
    if LINUX:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(FAILED)


def _execute(command: list[str], environment: dict[str, str]) -> NoReturn:
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - starting programs is its purpose
    except FileNotFoundError as error:
        raise LaunchFailed(_not_found(command[0])) from error
    except OSError as error:
        raise LaunchFailed(f"command {command[0]!r}: {error.strerror}") from error


def _not_found(name: str) -> str:
    if "/" not in name:
        return f"{name!r} not found on PATH"
    if os.access(name, os.F_OK):
        return f"command {name!r}: exists, but the interpreter that its first line names does not"
    return f"command {name!r}: No such file or directory"


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}): {os.strerror(ctypes.get_errno())}")


def _read_all(descriptor: int) -> str:
    with open(descriptor, "rb") as file:
        return file.read().decode(errors="replace")
