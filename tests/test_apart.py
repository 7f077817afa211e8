"""A check apart fails where its function does, and where that dies."""

import os
import signal
import sys

import pytest
from apart import run_apart


def main(*words):
    if words[0] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.environ["COLOUR"] == words[0], f"{words} are wrong"


def test_what_holds_passes():
    run_apart(main, "red", COLOUR="red")


def test_what_does_not_hold_says_why():
    with pytest.raises(AssertionError, match="are wrong"):
        run_apart(main, "red", COLOUR="blue")
    assert "COLOUR" not in os.environ


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such signal")
def test_what_dies_fails():
    with pytest.raises(AssertionError, match=r"(?s)status -9.*die.*died"):
        run_apart(main, "die")
