"""A machine whose clock is wrong by ``WRONG_BY`` seconds: Python imports this at its start, if it is on its path."""

import os
import time

_SECONDS = int(os.environ["WRONG_BY"])
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _SECONDS
time.time_ns = lambda: _time_ns() + _SECONDS * 10**9
