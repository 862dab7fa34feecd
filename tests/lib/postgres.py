"""A real PostgreSQL for tests. By unix socket everybody is trusted, by TCP the role `stayd` needs its
password."""

import os
import signal
from pathlib import Path

from .databases import PASSWORD, DatabaseServer

BINARIES = Path("/usr/lib/postgresql/15/bin")


class PostgresServer(DatabaseServer):
    kind = user = "postgres"
    tables, key = "stayd.", "key"
    keeps_commits = {}  # settings with which a kill -9 loses nothing
    last_origin = 2**63 - 1  # 2^64 - 1, less 2^63

    def install(self):
        self.settings = {"fsync": "off", "max_connections": 30, **self.settings}
        self.run(BINARIES / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")
        hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(hba)

    def command(self):
        settings = {
            **self.settings,
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
        }
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [BINARIES / "postgres", "-D", self.data, *words]

    def ping(self):
        return [BINARIES / "pg_isready", "-q", "-h", self.folder, "-p", self.port]

    def sql(self, text, database="postgres"):
        """What psql prints, unaligned and without headings."""
        options = ["-h", self.folder, "-p", self.port, "-U", "postgres", "-d", database]
        return self.run(BINARIES / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *options, "-c", text).strip()

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

    @staticmethod
    def bytes(data):
        return rf"'\x{data.hex()}'::bytea"

    # -- faults ----------------------------------------------------------------------------------

    def dump(self):
        """What `restore` brings back."""
        path = self.folder / "dump.sql"
        options = ["-h", self.folder, "-p", self.port, "-U", "postgres", "--clean", "--if-exists", "-f", path]
        self.run(BINARIES / "pg_dump", *options, "sessions")
        return path

    def restore(self, dump, anew=False):
        """In place, or `anew`: into a database that is made for it."""
        if anew:
            self.sql("DROP DATABASE sessions WITH (FORCE)")
            self.make_database()
        options = ["-h", self.folder, "-p", self.port, "-U", "postgres", "-d", "sessions", "-f", dump]
        self.run(BINARIES / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-1", *options)

    def dump_tables(self):
        """What `load_tables` brings back, by table."""
        out = {}
        for table in ("hosts", "rows"):
            out[table] = self.folder / f"{table}.sql"
            options = ["-h", self.folder, "-p", self.port, "-U", "postgres", "--clean", "-t", f"stayd.{table}"]
            self.run(BINARIES / "pg_dump", *options, "-f", out[table], "sessions")
        return out

    def load_tables(self, dump, table):
        self.restore(dump[table])

    def set_read_only(self, yes):
        self.sql(f"ALTER DATABASE sessions SET default_transaction_read_only = {'on' if yes else 'off'}")
        # Sessions that stand keep what they began with.
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'sessions'")

    def pids(self):
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

    def kill(self):
        for pid in self.pids() if self.process and self.process.alive else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        super().kill()
