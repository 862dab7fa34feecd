"""What the real databases of tests have in common: a folder of their own, started and killed at will.

They refuse to run as root, so there each runs as a user of its own.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from .processes import Process, free_port, wait_until

PASSWORD = "stayd's own"


class DatabaseServer:
    """Of each: `kind`, its name; `user`, whom it runs as; install(), once; command() to start it; ping(),
    a command that fails while it does not answer; and the words in which it is told what stayd's tables
    hold."""

    has_passwords = True

    def __init__(self, folder, **settings):
        self.folder = Path(folder)
        self.port = free_port()
        self.settings = settings
        self.process = None
        self.folder.mkdir(parents=True)
        self.folder.parent.chmod(0o711)  # the server's user must get through
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user, self.user)
        self.install()

    @property
    def data(self):
        return self.folder / "data"

    def as_user(self, *argv):
        root = ["setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups", "--"]
        return [str(a) for a in [*(root if os.geteuid() == 0 else []), *argv]]

    def run(self, *argv):
        done = subprocess.run(self.as_user(*argv), cwd="/", capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, f"{argv[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        name = f"{self.kind} {self.port}"
        argv = self.as_user(*self.command())
        self.process = Process(name, argv, self.folder / f"{self.kind}.log", cwd="/").start()
        wait_until(self._answers, 30, f"{name} answers")
        return self

    def _answers(self):
        self.process.must_be_alive()
        return subprocess.run(self.as_user(*self.ping()), capture_output=True).returncode == 0

    def pids(self):
        return [self.process.pid]

    def kill(self):
        if self.process and self.process.alive:
            self.process.kill()

    def copy_files(self):
        """The data folder as it is, kept; restore_files() goes back to it. Each restarts the server."""
        self.kill()
        copy = self.folder / "copy"
        self.run("cp", "-a", self.data, copy)
        self.start()
        return copy

    def restore_files(self, copy):
        self.kill()
        self.run("rm", "-rf", self.data)
        self.run("cp", "-a", copy, self.data)
        self.start()

    def freeze(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGCONT)
