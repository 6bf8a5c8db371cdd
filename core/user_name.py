"""Who runs this process, by name."""

import getpass
import os


def user_name() -> str:
    """Return the user's login name; `uid-NUMBER` where the system has none for them, as in a container with a number for a user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return f"uid-{os.getuid()}"
