"""A real MariaDB for tests. By unix socket root needs no password; the user `stayd` always needs its own."""

from .databases import PASSWORD, DatabaseServer


class MariadbServer(DatabaseServer):
    """Settings of the server, with `_` for `-`."""

    kind = "mariadb"
    user = "mysql"
    tables, key = "stayd_", "row_key"
    keeps_commits = {"innodb_flush_log_at_trx_commit": 2}  # settings with which a kill -9 loses nothing
    last_origin = 2**64 - 1

    def install(self):
        self.settings = {"innodb_flush_log_at_trx_commit": 0, "innodb_buffer_pool_size": "64M", **self.settings}
        # Who starts beside it removes temporary tables of /tmp.
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.folder}",
                 "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")

    @property
    def socket(self):
        return self.folder / "socket"

    def command(self):
        settings = {
            **self.settings,
            "datadir": self.data,
            "tmpdir": self.folder,
            "socket": self.socket,
            "pid_file": self.folder / "pid",
            "bind_address": "127.0.0.1",
            "port": self.port,
        }
        words = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
        return ["/usr/sbin/mariadbd", "--no-defaults", "--skip-name-resolve", *words]

    def ping(self):
        return ["mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "-e", "DO 1"]

    def sql(self, text, database="mysql"):
        """What mariadb prints, tab-separated and without headings."""
        options = ["--no-defaults", "-S", self.socket, "-u", "root", "-N", "-B", database]
        return self.run("mariadb", *options, "-e", text).strip()

    def make_database(self, name="sessions"):
        """With a user `stayd`, as docs/operating.md says; without the schema."""
        quoted = PASSWORD.replace("'", "''")
        self.sql(f"CREATE DATABASE {name}; CREATE USER stayd@127.0.0.1 IDENTIFIED BY '{quoted}'; "
                 f"GRANT ALL ON {name}.* TO stayd@127.0.0.1")
        return name

    def url(self, database="sessions", user="stayd", options="ssl-mode=disabled"):
        """Without a password."""
        return f"mysql://{user}@127.0.0.1:{self.port}/{database}?{options}"

    @staticmethod
    def bytes(data):
        return f"X'{data.hex()}'"

    def dump(self):
        """What `restore` brings back."""
        path = self.folder / "dump.sql"
        self.run("mariadb-dump", "--no-defaults", "-S", self.socket, "-u", "root", f"--result-file={path}", "sessions")
        return path

    def restore(self, dump, anew=False):
        """In place, or `anew`: into a database that is made for it."""
        if anew:
            self.sql("DROP DATABASE sessions; CREATE DATABASE sessions")
        self.sql(f"source {dump}", "sessions")

    def dump_tables(self):
        """What `load_tables` brings back, by table."""
        out = {}
        for table in ("hosts", "rows"):
            out[table] = self.folder / f"{table}.sql"
            options = ["--no-defaults", "-S", self.socket, "-u", "root", f"--result-file={out[table]}"]
            self.run("mariadb-dump", *options, "sessions", f"stayd_{table}")
        return out

    def load_tables(self, dump, table):
        self.sql(f"source {dump[table]}", "sessions")

    def set_read_only(self, yes):
        self.sql(f"SET GLOBAL read_only = {int(yes)}")
