"""Each rule of tools/tidy.py with something it must find and something it must let pass."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tidy import check_text  # noqa: E402

# (rule, file, bad line or None, good line or None)
CASES = [
    ("include", "src/base/a.cc", '#include "resp/reply.h"', '#include "base/error.h"'),
    ("include", "src/resp/a.cc", '#include "observe/events.h"', '#include "base/error.h"'),
    ("include", "src/session/a.cc", '#include "core/call.h"', '#include "resp/reply.h"'),
    ("include", "src/core/a.cc", '#include "store/memory/m.h"', '#include "store/store.h"'),
    ("include", "src/core/a.cc", '#include "redis/link.h"', '#include "session/record.h"'),
    ("include", "src/redis/a.cc", '#include "proxy/port.h"', '#include "core/call.h"'),
    ("include", "src/proxy/a.cc", '#include "net/loop.h"', '#include "core/call.h"'),
    ("include", "src/net/a.cc", '#include "daemon/config.h"', '#include "proxy/port.h"'),
    ("include", "src/store/ledger/a.cc", '#include "store/memory/m.h"', '#include "store/store.h"'),
    ("include", "src/store/mine/a.cc", '#include "store/backup/memory/m.h"', '#include "store/backup/b.h"'),
    ("include", "src/core/a.cc", '#include "store/backup/apply.h"', '#include "store/backup/backup.h"'),
    ("include", "sim/a.cc", '#include "net/loop.h"', '#include "store/memory/m.h"'),
    ("include", "src/nowhere/a.cc", '#include "base/error.h"', None),
    ("clock", "src/core/a.cc", "auto t = std::chrono::steady_clock::now();", "call.time();"),
    ("clock", "src/proxy/a.cc", "auto t = time(nullptr);", "// steady_clock::now() is not for us"),
    ("clock", "sim/a.cc", "clock_gettime(CLOCK_REALTIME, &t);", 'log("time(0)");'),
    ("clock", "src/redis/a.cc", "auto t = real_now();", "unreal_now();"),
    ("random", "src/base/a.cc", "int x = rand();", "int operand(); int x = operand ();"),
    ("random", "sim/a.cc", "std::mt19937 generator;", "Random random(seed);"),
    ("sleep", "src/net/a.cc", "std::this_thread::sleep_for(1s);", "asleep(1);"),
    ("capture", "src/net/a.cc", "auto f = [=] { g(); };", "auto f = [a = b] { g(); }; a[i] = 3;"),
    ("capture", "src/net/a.cc", "auto f = [=, &x] { g(); };", "auto f = [&x] { g(); };"),
    ("throw", "src/core/a.cc", 'throw std::runtime_error("x");', "int throws = 1;"),
    ("asio", "src/core/a.cc", "#include <boost/asio.hpp>", "#include <boost/system/result.hpp>"),
    ("asio", "src/proxy/a.cc", "boost::asio::io_context loop;", "Loop loop;"),
    ("await-lambda", "src/net/a.cc", "co_await f([x] { g(); });", "co_await read(socket_, a[i]);"),
    ("await-lambda", "src/net/a.cc", "co_await f(\n    [&](int) { g(); });", "co_await f(g);"),
    ("columns", "src/core/a.cc", "//" + "x" * 99, "//" + "x" * 98),
    ("lines", "src/core/a.cc", "int x;\n" * 500, "int x;\n" * 399),
    ("long-file", "src/core/a.cc", "int x;\n" * 400, "int x;\n" * 399),
]


def rules_found(path, text):
    return {problem.split(": ")[1] for problem in check_text(path, text)}


IDS = [f"{case[0]}-{number}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("rule,path,bad,good", CASES, ids=IDS)
def test_rule(rule, path, bad, good):
    assert rules_found(path, bad + "\n") == {rule}
    if good is not None:
        assert rules_found(path, good + "\n") == set()


def test_clocks_where_they_belong():
    for folder in ("src/base", "src/net", "src/daemon", "bench/store"):
        assert not rules_found(f"{folder}/a.cc", "auto t = std::chrono::steady_clock::now();\n")


def test_tests_of_the_store_wait_for_its_threads():
    line = "auto t = std::chrono::steady_clock::now();\n"
    assert not rules_found("src/store/ledger/ledger_test.cc", line)
    assert rules_found("src/store/ledger/ledger.cc", line) == {"clock"}


def test_tests_may_use_in_memory_parts():
    assert not rules_found("src/core/engine_test.cc", '#include "store/memory/memory_store.h"\n')


def test_an_exception_needs_its_reason():
    line = "int x = rand();"
    assert rules_found("src/base/a.cc", f"{line}  // tidy: allow(random) because of Y\n") == set()
    assert rules_found("src/base/a.cc", f"// tidy: allow(random) because of Y\n{line}\n") == set()
    assert rules_found("src/base/a.cc", f"// tidy: allow(random)\n{line}\n") == {"random"}
    assert rules_found("src/base/a.cc", f"// tidy: allow(clock) because Y\n{line}\n") == {"random"}


def test_comments_and_literals_are_not_code():
    text = '/* rand() */ const char* a = "sleep(1) [=]"; // throw\nauto b = R"(rand())";\n'
    assert rules_found("src/core/a.cc", text) == set()


def test_problem_names_the_line():
    assert check_text("src/base/a.cc", "int a;\nint b = rand();\n")[0].startswith(
        "src/base/a.cc:2: random:"
    )
