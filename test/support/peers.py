"""Independent implementations of what ours speaks, from PyPI: ./dev test fetches them."""

import glob
import importlib
import os
import sys

from scenario import Skip


def imported(name):
    """A module of one of the packages of test/peers/requirements.txt."""
    sys.path.extend(path for path in glob.glob(f"{venv()}/lib/python3*/site-packages") if path not in sys.path)
    return importlib.import_module(name)


def venv():
    """The folder in which they are installed."""
    folder = os.environ.get("TEST_PEERS")
    if not folder:
        raise Skip("TEST_PEERS is not set: ./dev test fetches the packages")
    return folder
