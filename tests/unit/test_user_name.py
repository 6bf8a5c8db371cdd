"""Who runs this process has a name, even where the system has none."""

import os
import pwd

import pytest

from hms.core.user_name import user_name


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)

    def no_entry(number: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", no_entry)


@pytest.mark.usefixtures("nameless")
def test_a_user_without_an_entry_is_called_by_the_number() -> None:
    assert user_name() == f"uid-{os.getuid()}"


def test_a_user_with_a_login_name_is_called_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert user_name() == "ada"
