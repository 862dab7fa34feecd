"""A real MariaDB for tests, in a folder of its own: started and killed at will.

It refuses to run as root, so there it runs as the user `mysql`. By unix socket root needs no password; the
user `stayd` always needs its own.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from .processes import Process, free_port, wait_until

PASSWORD = "stayd's own"


def _as_user():
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", "mysql", "--regid", "mysql", "--clear-groups", "--"]


class MariadbServer:
    def __init__(self, folder, **settings):
        """Settings of the server, with `_` for `-`."""
        self.folder = Path(folder)
        self.port = free_port()
        self.settings = {"innodb_flush_log_at_trx_commit": 0, "innodb_buffer_pool_size": "64M", **settings}
        self.process = None
        self.folder.mkdir(parents=True)
        self.folder.parent.chmod(0o711)  # the server's user must get through
        if os.geteuid() == 0:
            shutil.chown(self.folder, "mysql", "mysql")
        self._run("mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
                  "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")

    @property
    def data(self):
        return self.folder / "data"

    @property
    def socket(self):
        return self.folder / "socket"

    def _run(self, program, *args):
        argv = [*_as_user(), program, *args]
        done = subprocess.run([str(a) for a in argv], cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        settings = {
            **self.settings,
            "datadir": self.data,
            "tmpdir": self.folder,
            "socket": self.socket,
            "pid_file": self.folder / "pid",
            "bind_address": "127.0.0.1",
            "port": self.port,
        }
        argv = [*_as_user(), "/usr/sbin/mariadbd", "--no-defaults", "--skip-name-resolve"]
        argv += [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
        name = f"mariadb {self.port}"
        self.process = Process(name, argv, self.folder / "mariadb.log", cwd="/").start()
        wait_until(self._answers, 30, f"{name} answers")
        return self

    def _answers(self):
        self.process.must_be_alive()
        argv = ["mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "-e", "DO 1"]
        return subprocess.run([str(a) for a in argv], capture_output=True).returncode == 0

    def sql(self, text, database="mysql"):
        """What mariadb prints, tab-separated and without headings."""
        options = ["--no-defaults", "-S", self.socket, "-u", "root", "-N", "-B", database]
        return self._run("mariadb", *options, "-e", text).strip()

    def make_database(self, name="sessions"):
        """With a user `stayd`, as docs/operating.md says; without the schema."""
        quoted = PASSWORD.replace("'", "''")
        self.sql(f"CREATE DATABASE {name}; CREATE USER stayd@127.0.0.1 IDENTIFIED BY '{quoted}'; "
                 f"GRANT ALL ON {name}.* TO stayd@127.0.0.1")
        return name

    def url(self, database="sessions", user="stayd", options="ssl-mode=disabled"):
        """Without a password."""
        return f"mysql://{user}@127.0.0.1:{self.port}/{database}?{options}"

    def kill(self):
        if self.process and self.process.alive:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.kill()
