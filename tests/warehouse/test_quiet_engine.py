"""The engine must not talk on a terminal: it logs every statement there when it finds one."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

_SCRIPT = """
import sys
from polyhouse.warehouse import open_warehouse
with open_warehouse(sys.argv[1]) as warehouse:
    warehouse.write("tokens", {"token": [bytes(32)], "condition": [b"c" * 32], "outcome": [0]}, run=1, token="a")
    print("rows", warehouse.query("SELECT count() FROM tokens").rows[0][0])
"""


def test_nothing_but_our_own_words_on_a_terminal(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", _SCRIPT, f"chdb://{tmp_path}/warehouse"])
    said = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # the terminal ends with its last process
            break
        if not piece:
            break
        said += piece
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    assert said == b"rows 1\r\n"
