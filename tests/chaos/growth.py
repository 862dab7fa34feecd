"""What stayd holds as time goes by: memory and descriptors, sampled while Redis is trusted."""

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
        self.samples = []  # (minutes, pid, MB, descriptors)
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
        return minutes, process.name, rss_kb / 1024, len(list((process / "fd").iterdir()))

    def end(self):
        self.ending.set()
        self.join(10)

    def summary(self):
        """Of the life of stayd that was sampled last: the first, the highest, the last, and the slope per minute
        of the second half. In the first one buffers fill, the ledger's above all (16 MB)."""
        samples = [one for one in self.samples if one[1] == self.samples[-1][1]]
        found = {}
        for name, index in (("rss_mb", 2), ("fds", 3)):
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
