"""The rules of style that a script can check (STYLE in CONTRIBUTING.md): `./dev tidy`.

    tidy.py [ROOT]        prints "file:line: rule: what is wrong"; exit code 1 if anything is

A line that must break a rule says so with a reason: `// tidy: allow(RULE) because ...`, on the line or
on the one before. tools/test_tidy.py holds a good and a bad example of each rule.
"""

import re
import sys
from pathlib import Path

MAX_COLUMNS = 100
MAX_LINES, HARD_MAX_LINES = 400, 500

# What each floor may include besides itself. Includes run one way: what is not named here is an error.
BASE = {"base"}
LOW = BASE | {"resp", "observe", "token"}
FLOORS = {
    "base": set(),
    "resp": BASE,
    "observe": BASE,
    "token": BASE,
    "session": LOW,
    "store": LOW | {"session"},  # a backend: only the interface, see `backend_sees_interface`
    "core": LOW | {"session", "store.h"},
    "redis": LOW | {"session", "store.h", "core"},
    "proxy": LOW | {"session", "store.h", "core"},
    "gateway": LOW | {"session", "store.h", "core"},
    "net": LOW | {"session", "store.h", "core", "redis", "proxy", "gateway"},
    "daemon": LOW | {"session", "store.h", "store", "core", "redis", "proxy", "gateway", "net"},
    "sim": LOW | {"session", "store.h", "store", "core", "redis", "proxy", "gateway"},
}
# What "store.h" above stands for: the seams behind which the backends are.
SEAMS = {"store/store.h", "store/backup/backup.h"}
# Tests may build what they test out of any in-memory part of the floors below `net`.
TEST_EXTRA = {"store", "redis", "proxy"}

CLOCKS = re.compile(
    r"\b(?:std::chrono::)?(?:system_clock|steady_clock|high_resolution_clock)::now\b"
    r"|\b(?:clock_gettime|gettimeofday|timespec_get|real_now)\s*\(|(?<![\w.>])time\s*\(\s*(?:NULL|nullptr|0|&)"
)
RANDOM = re.compile(
    r"\b(?:std::)?(?:s?rand|rand_r|random_shuffle)\s*\("
    r"|\bstd::(?:random_device|mt19937|default_random)"
)
SLEEP = re.compile(r"\b(?:sleep|usleep|nanosleep|sleep_for|sleep_until)\s*\(")
THROW = re.compile(r"\bthrow\b(?!\s*\(\s*\))")
CAPTURE = re.compile(r"\[\s*=\s*[,\]]")
AWAIT_LAMBDA = re.compile(r"\bco_await\b[^;]*(?<![\w)\]])\[[^\]]*\]\s*(?:\(|\{|mutable)")
ASIO = re.compile(r"#include\s*<boost/(?:asio|beast)|\bboost::asio\b")
INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"')
ALLOW = re.compile(r"//\s*tidy: allow\(([\w-]+)\) because \S")

CLOCK_FLOORS = {"base", "net", "daemon"}
ASIO_FLOORS = {"net", "daemon"}


def strip(text):
    """The text with comments and literals blanked, line for line, so that rules see only code."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])\'',
        re.DOTALL,
    )

    def blank(match):
        start = text.rfind("\n", 0, match.start()) + 1
        if text[start : match.start()].strip() == "#include":
            return match[0]
        return re.sub(r"[^\n]", " ", match[0])

    return pattern.sub(blank, text)


def floor_of(path):
    """"core" for src/core/x.cc, "sim" for sim/x.cc, None for what belongs to no floor."""
    parts = path.parts
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    return "sim" if parts[0] == "sim" else None


def include_problem(path, floor, included):
    """What is wrong with `#include "included"` in this file, or None."""
    target = included.split("/")[0]
    if floor is None or "/" not in included or target not in FLOORS or target == floor:
        return backend_sees_interface(path, floor, included)
    allowed = FLOORS.get(floor)
    if allowed is None:
        return f"src/{floor}/ is no floor that tools/tidy.py knows"
    is_test = path.stem.endswith("_test") or "test" in path.stem.split("_")
    if is_test:
        allowed = allowed | TEST_EXTRA
    if target in allowed or (included in SEAMS and "store.h" in allowed):
        return None
    return f"{floor}/ must not include {included}: includes run from high floors to low ones"


def backend_sees_interface(path, floor, included):
    """A backend (src/store/NAME/) includes the interfaces and itself, no other backend."""
    parts = path.parts
    if included.startswith("store/backup/") and included.count("/") == 2:
        return None  # the interface of the shared backups, and what they have in common
    if floor != "store" or len(parts) < 4 or not included.startswith("store/"):
        return None
    backend = included.split("/")[1] if included.count("/") > 1 else None
    if backend is None or backend == parts[2] or parts[2] == "faulty":
        return None
    if path.stem.endswith("_test"):
        return None
    return f"the backend {parts[2]} must not include the backend {backend}"


def line_rules(path, floor):
    """(rule, pattern, message) for each pattern that must not occur in this file."""
    rules = [
        ("random", RANDOM, "random numbers come from base/random.h, seeded by the caller"),
        ("capture", CAPTURE, "[=] hides what a lambda keeps alive: name the captures"),
        ("await-lambda", AWAIT_LAMBDA, "no lambda inside a co_await expression: name it first"),
    ]
    # The store has threads of its own: its tests give up after a time.
    waits_for_threads = floor == "store" and path.stem.endswith("_test")
    measures = path.parts[0] == "bench"
    if floor not in CLOCK_FLOORS and not waits_for_threads and not measures:
        rules.append(("clock", CLOCKS, "the time is an argument outside base/, net/ and daemon/"))
    if not measures:
        rules.append(("sleep", SLEEP, "nothing sleeps: wait for what should happen"))
    if floor == "core":
        rules.append(("throw", THROW, "no exceptions in core/: errors are values"))
    if floor is not None and floor not in ASIO_FLOORS:
        rules.append(("asio", ASIO, "Asio and Beast live in net/ and daemon/"))
    return rules


def check_file(path, text):
    """Yields (line number, rule, message) for one file; `path` is relative to the root."""
    floor = floor_of(path)
    raw_lines = text.splitlines()
    code = strip(text)
    rules = line_rules(path, floor)
    for number, line in enumerate(raw_lines, 1):
        if len(line) > MAX_COLUMNS:
            yield number, "columns", f"{len(line)} columns, at most {MAX_COLUMNS}"
    for number, line in enumerate(code.splitlines(), 1):
        if match := INCLUDE.match(line):
            if problem := include_problem(path, floor, match[1]):
                yield number, "include", problem
        for rule, pattern, message in rules:
            if rule != "await-lambda" and pattern.search(line):
                yield number, rule, message
    for match in AWAIT_LAMBDA.finditer(code):
        yield code.count("\n", 0, match.start()) + 1, "await-lambda", rules[2][2]
    if len(raw_lines) > HARD_MAX_LINES:
        yield 1, "lines", f"{len(raw_lines)} lines, never more than {HARD_MAX_LINES}: split by noun"
    elif len(raw_lines) > MAX_LINES:
        yield 1, "long-file", f"{len(raw_lines)} lines, at most {MAX_LINES}: split by noun"


def allowed(raw_lines, number, rule):
    """True if the line, the one before it or (for a file's length) the first 20 say why."""
    lines = raw_lines[:20] if rule == "long-file" else raw_lines[max(0, number - 2) : number]
    return any((match := ALLOW.search(line)) and match[1] == rule for line in lines)


def check_text(path, text):
    """All problems of one file as "path:line: rule: message"."""
    raw_lines = text.splitlines()
    return [
        f"{path}:{number}: {rule}: {message}"
        for number, rule, message in check_file(Path(path), text)
        if not allowed(raw_lines, number, rule)
    ]


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    problems, count = [], 0
    for folder in ("src", "include", "sim", "fuzz", "bench", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".cc", ".h") and "node_modules" not in path.parts:
                count += 1
                problems += check_text(path.relative_to(root), path.read_text())
    for problem in problems:
        print(problem)
    print(f"tidy: {count} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
