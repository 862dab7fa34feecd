"""What stayd holds as time goes by: memory and descriptors, sampled while Redis is trusted.

The ledger's own buffers (32 MB) fill and are written out, its table files (64 open at most) come and are
merged: they have bounds of their own, and what is beside them must not grow.
"""

import os
import re
import statistics
import threading
from pathlib import Path

from .record import now_us

PAUSE_S = 2


class Growth(threading.Thread):
    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.ending = world, threading.Event()
        self.samples = []  # (minutes, pid, MB, descriptors, both without the ledger's)
        self.began_us = now_us()
        self.start()

    def run(self):
        while not self.ending.wait(PAUSE_S):
            try:
                if self.world.stayd.trust() == "trusted":
                    self.samples.append(self.sample())
            except (OSError, AssertionError, ValueError):
                pass  # killed, or frozen, just now

    def sample(self):
        process = Path(f"/proc/{self.world.stayd.pid}")
        rss_kb = int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())[1])
        minutes = (now_us() - self.began_us) / 60e6
        rss_mb, ledger = rss_kb / 1024, self.world.stayd.metric("stayd_ledger_memory_bytes")
        files = [os.readlink(fd) for fd in (process / "fd").iterdir()]
        fds = [file for file in files if not file.endswith(".sst")]
        return minutes, process.name, rss_mb, len(files), rss_mb - ledger / 2**20, len(fds)

    def end(self):
        self.ending.set()
        self.join(10)

    def summary(self):
        """Of the life of stayd that was sampled last: the first, the highest, the last, and the slope per minute
        of the second half."""
        samples = [one for one in self.samples if one[1] == self.samples[-1][1]]
        found = {}
        names = ("rss_mb", "fds", "rss_mb_beside_the_ledger", "fds_beside_the_ledger")
        for index, name in enumerate(names, 2):
            values = [one[index] for one in samples]
            if values:
                found[name] = {"first": round(values[0], 1), "most": round(max(values), 1)}
                found[name]["last"] = round(values[-1], 1)
            warm = samples[len(samples) // 2 :]
            if len(warm) > 10:
                times = [one[0] for one in warm]
                slope, _ = statistics.linear_regression(times, [one[index] for one in warm])
                found[name]["per_minute"] = round(slope, 3)
        return found
