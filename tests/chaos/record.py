"""The history of a run as stayd_history reads it (sim/history_file.h): one JSON line an operation.

Times are microseconds of the monotonic clock, the same for all processes of the machine.
Threads may share an instance.
"""

import json
import threading
import time


def now_us():
    return time.monotonic_ns() // 1000


class Recorder:
    def __init__(self, path):
        self._file, self._lock = open(path, "w"), threading.Lock()

    def close(self):
        self._file.close()

    def told(self, key, client, commands, ask_us, reply):
        self._write(key, client, commands, ask_us, "told", reply=reply)

    def done(self, key, client, commands, ask_us):
        """What it answered does not matter."""
        self._write(key, client, commands, ask_us, "done")

    def refused(self, key, client, commands, ask_us, note):
        """It was certainly not done."""
        self._write(key, client, commands, ask_us, "refused", note=note)

    def doubt(self, key, client, commands, ask_us, note):
        self._write(key, client, commands, ask_us, "doubt", note=note)

    def _write(self, key, client, commands, ask_us, outcome, **more):
        line = {"key": key, "client": client, "ask_us": ask_us, "end_us": now_us()}
        line |= {"outcome": outcome, "commands": commands, "block": len(commands) > 1, **more}
        with self._lock:
            self._file.write(json.dumps(line) + "\n")


def lines_of(path):
    with open(path) as file:
        yield from map(json.loads, file)
