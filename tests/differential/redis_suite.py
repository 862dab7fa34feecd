"""Redis' own Tcl test suite, as a library: gets it, runs one of its files against a port.

The suite is part of the source package that the installed redis-server was built from. It is
downloaded through apt into build/redis-suite/, from the repositories this machine is configured
for, without touching the machine's package lists. `TESTS_REDIS_SUITE` may name an unpacked source
tree instead.
"""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

from lib.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build/redis-suite"
DENIED_TAGS = (
    "-needs:debug -needs:repl -needs:save -needs:config-maxmemory -slow -large-memory"
)
# Random or bulk work of the suite: minutes long, and not about what a proxy could change.
SKIPPED = (
    r"/fuzz|[Ss]tress|[Mm]ass |iterate the whole stream|issue #4906|MIGRATE cached connections"
    r"|leak in the Lua stack|elements are moved|PFCOUNT multiple-keys|LATENCY of expire events"
    r"|[Bb]ig |4GB|[Hh]uge|XADD IDs are incremental when ms"
)


class SuiteMissing(Exception):
    """The source package cannot be had."""


def run_tool(*argv, cwd=None):
    run = subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, text=True)
    if run.returncode != 0:
        raise SuiteMissing(f"{' '.join(map(str, argv))}: {run.stderr.strip()[-500:]}")
    return run.stdout


def download(folder):
    """The original source archive of the installed redis-server, below `folder`."""
    version = run_tool("dpkg-query", "-W", "-f", "${source:Version}", "redis-server").strip()
    where = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    targets = run_tool("apt-get", "indextargets", "--format", where, "Created-By: Packages")
    parts = folder / "sources"
    lists = folder / "lists"
    for path in (parts, lists / "partial", folder / "cache/archives/partial"):
        path.mkdir(parents=True, exist_ok=True)
    stanzas = [
        "Types: deb-src\nURIs: {}\nSuites: {}\nComponents: {}\n".format(*line.split())
        for line in sorted(set(targets.splitlines()))
    ]
    (parts / "suite.sources").write_text("\n".join(stanzas))
    apt = ["apt-get", "-qq", "-o", "Dir::Etc::sourcelist=/dev/null"]
    apt += ["-o", f"Dir::Etc::sourceparts={parts}", "-o", f"Dir::State::lists={lists}"]
    apt += ["-o", f"Dir::Cache={folder / 'cache'}", "-o", "Acquire::Languages=none"]
    run_tool(*apt, "update", cwd=folder)
    run_tool(*apt, "source", "--download-only", f"redis={version}", cwd=folder)
    return next(folder.glob("redis_*.orig.tar.*"))


def suite_sources():
    """The unpacked source tree; downloaded once. SuiteMissing if that is not possible."""
    given = os.environ.get("TESTS_REDIS_SUITE")
    if given:
        return Path(given)
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of one test run share the folder
        done = CACHE / "source"
        if not done.exists():
            archive = download(CACHE)
            half = CACHE / "unpacking"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            run_tool("tar", "-xf", archive, "--strip-components=1", "-C", half)
            half.rename(done)
    return done


def work_tree(sources, folder):
    """A copy of the suite in `folder`, with the installed programs where it looks for them."""
    shutil.copytree(sources / "tests", folder / "tests")
    (folder / "src").mkdir()
    for program in ("redis-cli", "redis-server", "redis-benchmark"):
        (folder / "src" / program).symlink_to(shutil.which(program))
    return folder


class Outcome:
    def __init__(self, text):
        self.text = re.sub(r"\x1b\[[0-9;]*m", "", text)
        self.passed = set(re.findall(r"^\[ok\]: (.*?)(?: \(\d+ ms\))?$", self.text, re.M))
        self.failed = set(re.findall(r"^\[err\]: (.*?) in tests/", self.text, re.M))
        self.crashed = re.findall(r"^\[exception\].*", self.text, re.M)
        self.passed -= self.failed  # some names are given twice

    def why(self, name):
        """What the suite says about the failure of `name`."""
        at = self.text.find(f"[err]: {name} in tests/")
        return self.text[at : at + 600]


# The suite's own listener takes a port of the first 32, its servers the rest.
PORTS, PORTS_BEFORE_BASE = 72, 32


def run_file(folder, port, name, limit_s, without=()):
    """Runs one file of the suite, `without` some tests, against the server on `port`."""
    base = free_port(PORTS) + PORTS_BEFORE_BASE
    argv = ["tclsh", "tests/test_helper.tcl", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--single", name, "--clients", "1", "--durable", "--ignore-digest"]
    argv += ["--baseport", str(base), "--portcount", str(PORTS - PORTS_BEFORE_BASE)]
    argv += ["--tags", DENIED_TAGS, "--skiptest", SKIPPED]
    for test in without:
        argv += ["--skiptest", test]
    out = folder / "output.txt"
    with open(out, "wb") as file:
        child = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            child.wait(limit_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            file.write(f"\n[exception]: no end within {limit_s} s\n".encode())
    return Outcome(out.read_text(errors="replace"))
