"""A real PostgreSQL for tests, in a folder of its own: started and killed at will.

It refuses to run as root, so there it runs as the user `postgres`. By unix socket everybody is trusted,
by TCP the role `stayd` needs its password.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from .processes import Process, free_port, wait_until

BINARIES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "stayd's own"


def _as_user():
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]


class PostgresServer:
    def __init__(self, folder, **settings):
        self.folder = Path(folder)
        self.port = free_port()
        self.settings = {"fsync": "off", "max_connections": 30, **settings}
        self.process = None
        self.folder.mkdir(parents=True)
        self.folder.parent.chmod(0o711)  # the server's user must get through
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")
        hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(hba)

    @property
    def data(self):
        return self.folder / "data"

    def _run(self, program, *args):
        argv = [*_as_user(), BINARIES / program, *args]
        done = subprocess.run([str(a) for a in argv], cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        settings = {
            **self.settings,
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
        }
        argv = [*_as_user(), BINARIES / "postgres", "-D", self.data]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        name = f"postgres {self.port}"
        self.process = Process(name, argv, self.folder / "postgres.log", cwd="/").start()
        wait_until(self._answers, 20, f"{name} answers")
        return self

    def _answers(self):
        self.process.must_be_alive()
        argv = [BINARIES / "pg_isready", "-q", "-h", self.folder, "-p", self.port]
        return subprocess.run([str(a) for a in argv]).returncode == 0

    def sql(self, text, database="postgres"):
        """What psql prints, unaligned and without headings."""
        options = ["-h", self.folder, "-p", self.port, "-U", "postgres", "-d", database]
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *options, "-c", text).strip()

    def make_database(self, name="sessions"):
        """Owned by the role `stayd`, as docs/operating.md says; without the schema."""
        if not self.sql("SELECT 1 FROM pg_roles WHERE rolname = 'stayd'"):
            quoted = PASSWORD.replace("'", "''")
            self.sql(f"CREATE ROLE stayd LOGIN PASSWORD '{quoted}'")
        self.sql(f"CREATE DATABASE {name} OWNER stayd")
        return name

    def url(self, database="sessions", user="stayd"):
        """Without a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    # -- faults ----------------------------------------------------------------------------------

    def _pids(self):
        """The postmaster and its children, each of which leads a session of its own."""
        pids = [self.process.pid]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid:
                pids.append(int(stat.parent.name))
        return pids

    def _signal(self, number):
        for pid in self._pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        if self.process and self.process.alive:
            self._signal(signal.SIGKILL)
            self.process.kill()
