"""Runs the test suites one after the other and adds up their results for ./dev.

    run_tests.py start                              forget earlier results
    run_tests.py unit PRESET [--filter F] [--only T...]   the GoogleTest programs of one build
    run_tests.py python PRESET [--filter F] PATH...       pytest on two workers
    run_tests.py step NAME -- COMMAND...            one command that passes or fails
    run_tests.py summary                            one line over all suites; fails if a test failed

Each suite's counts are a line in build/test-results.tsv.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build/test-results.tsv"
FLAKY = ROOT / "build/flaky.txt"  # tests of this run that passed only at the second try
MAX_SECOND_TRIES = 5  # failed system tests that may be run once more
UNIT_LIMIT_S = 300  # one test program; sanitizers make it several times slower
PARTS = {"store_test": 4}  # programs that mostly wait for databases, run so many at a time
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:halt_on_error=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def record(suite, passed, failed, skipped=0, names=()):
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS, "a") as file:
        file.write(f"{suite}\t{passed}\t{failed}\t{skipped}\t{' '.join(names)}\n")
    print(f"== {suite}: {passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


# -- unit tests --------------------------------------------------------------------------------------


def ctest_programs(build):
    """{test name: command} as CMake registered them; the command of a test not built is None."""
    listing = subprocess.run(
        ["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, check=True
    )
    tests = json.loads(listing.stdout)["tests"]
    return {test["name"]: test.get("command") for test in tests}


def run_unit(name, part, command, out, filter_text):
    """(name, seconds, passed, failed test names, output) of one test program, or a part of it."""
    if command is None:
        return name, 0, 0, [f"{name} (not built)"], ""
    environment = {**os.environ, **SANITIZER_OPTIONS}
    if name in PARTS:
        environment |= {"GTEST_TOTAL_SHARDS": str(PARTS[name]), "GTEST_SHARD_INDEX": str(part)}
        name += f" {part + 1}/{PARTS[name]}"
    report = out / f"{name.replace('/', '_')}.json"
    environment["GTEST_OUTPUT"] = f"json:{report}"
    if filter_text:
        environment["GTEST_FILTER"] = f"*{filter_text}*"
    start = time.monotonic()
    try:
        run = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=UNIT_LIMIT_S,
            cwd=out.parent,  # the build folder: golden files are found from where the compiler stood
        )
        code, output = run.returncode, run.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        code, output = -1, (error.stdout or b"").decode(errors="replace")
        output += f"\n{name}: no end within {UNIT_LIMIT_S} s"
    passed, failed = count_gtest(report)
    if report.exists() is False and code == 0:
        passed = 1  # not a GoogleTest program
    if code != 0 and not failed:
        failed = [f"{name} (exit code {code})"]
    return name, time.monotonic() - start, passed, failed, output


def count_gtest(report):
    if not report.exists():
        return 0, []
    passed, failed = 0, []
    for suite in json.loads(report.read_text()).get("testsuites", []):
        for test in suite["testsuite"]:
            if test.get("failures"):
                failed.append(f"{suite['name']}.{test['name']}")
            elif test.get("result") == "COMPLETED":
                passed += 1
    return passed, failed


def unit(options):
    build = ROOT / "build" / options.preset
    out = build / "test-reports"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    programs = ctest_programs(build)
    if options.only:
        programs = {name: programs.get(name) for name in options.only}
    all_passed, all_failed = 0, []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [
            pool.submit(run_unit, name, part, command, out, options.filter)
            for name, command in programs.items()
            for part in range(PARTS.get(name, 1))
        ]
        for done in runs:
            name, seconds, passed, failed, output = done.result()
            if failed:
                print(output)
            verdict = f"{passed} passed" + (f", FAILED: {', '.join(failed)}" if failed else "")
            print(f"{name:24} {seconds:6.1f} s  {verdict}", flush=True)
            all_passed += passed
            all_failed += failed
    return record(f"unit {options.preset}", all_passed, len(all_failed), names=all_failed)


# -- pytest ------------------------------------------------------------------------------------------


def python(options):
    report = ROOT / "build" / "pytest.xml"
    report.unlink(missing_ok=True)
    report.parent.mkdir(exist_ok=True)
    command = ["/usr/bin/python3", "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", "."]
    command += ["-n", "2", "--dist", "loadgroup", f"--junitxml={report}", "-v", "--durations=10"]
    if options.filter:
        command += ["-k", options.filter]
    environment = {**os.environ, **SANITIZER_OPTIONS, "PYTHONDONTWRITEBYTECODE": "1"}
    if options.preset != "release":
        environment["TESTS_SLACK"] = "5"  # limits of answers are for a release build
        environment["TESTS_SANITIZED"] = "1"
    environment["TESTS_STAYD_BIN"] = str(ROOT / "build" / options.preset / "stayd")
    code = subprocess.run(command + options.paths, cwd=ROOT, env=environment).returncode
    passed, failed, skipped = count_junit(report)
    if code not in (0, 1, 5) or (code == 1 and not failed):
        failed.append(f"pytest (exit code {code})")
    elif 0 < len(failed) <= MAX_SECOND_TRIES:
        passed, failed = second_try(report, environment, passed, failed)
    return record(f"system {options.preset}", passed, len(failed), skipped, failed)


def failed_node_ids(report):
    """What pytest calls the failed tests of a report; empty if one cannot be told."""
    ids = []
    for case in failed_cases(report):
        path = case.get("classname", "").replace(".", "/") + ".py"
        found = [base for base in ("", "tests/") if (ROOT / (base + path)).exists()]
        if not found:
            return []
        name = case.get("name").split("@")[0]  # xdist appends its group
        ids.append(f"{found[0]}{path}::{name}")
    return ids


def failed_cases(report):
    return [
        case
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]


def failure_texts(report):
    """What pytest printed of each failed test, in the order of failed_node_ids."""
    texts = []
    for case in failed_cases(report):
        bad = case.find("failure")
        texts.append((bad if bad is not None else case.find("error")).text or "")
    return texts


def second_try(report, environment, passed, failed):
    """Real servers on a busy machine: a few failures are tried once more, alone, and told of."""
    ids = failed_node_ids(report)
    if not ids:
        return passed, failed
    for node_id, text in zip(ids, failure_texts(report)):
        print(f"== failed at the first try: {node_id}\n{text}", flush=True)
    again = report.with_name("pytest-second-try.xml")
    again.unlink(missing_ok=True)
    print(f"== second try, alone: {' '.join(ids)}", flush=True)
    command = ["/usr/bin/python3", "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", "."]
    subprocess.run([*command, f"--junitxml={again}", "-v", *ids], cwd=ROOT, env=environment)
    passed_again, failed_again, _ = count_junit(again)
    if passed_again + len(failed_again) != len(ids):
        return passed, failed
    still = set(failed_node_ids(again))
    flaky = [node_id for node_id in ids if node_id not in still]
    if flaky:
        with open(FLAKY, "a") as file:
            file.writelines(f"{node_id}\n" for node_id in flaky)
    print(f"== only at the second try: {passed_again} of {len(ids)}", flush=True)
    return passed + passed_again, failed_again


def count_junit(report):
    if not report.exists():
        return 0, [], 0
    passed, failed, skipped = 0, [], 0
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(case.get("name").replace(" ", "_"))
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


# -- the rest ----------------------------------------------------------------------------------------


def step(options):
    code = subprocess.run(options.command, cwd=ROOT).returncode
    failed = [options.name] if code else []
    return record(options.name, 1 - len(failed), len(failed), names=failed)


def summary(_):
    passed = failed = skipped = 0
    for line in RESULTS.read_text().splitlines():
        suite, *counts, names = line.split("\t")
        counts = [int(count) for count in counts]
        passed, failed, skipped = (a + b for a, b in zip((passed, failed, skipped), counts))
        if counts[1]:
            print(f"FAILED in {suite}: {names}")
    if passed + failed == 0:
        print("no test has that name")
        failed = 1
    if FLAKY.exists():
        print(f"only at the second try: {' '.join(FLAKY.read_text().split())}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


def start(_):
    RESULTS.unlink(missing_ok=True)
    FLAKY.unlink(missing_ok=True)
    return 0


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(required=True)
    for name, function in (("start", start), ("summary", summary)):
        verbs.add_parser(name).set_defaults(run=function)
    verb = verbs.add_parser("unit")
    verb.add_argument("preset")
    verb.add_argument("--filter", default="")
    verb.add_argument("--only", nargs="*")
    verb.set_defaults(run=unit)
    verb = verbs.add_parser("python")
    verb.add_argument("preset")
    verb.add_argument("--filter", default="")
    verb.add_argument("paths", nargs="+")
    verb.set_defaults(run=python)
    verb = verbs.add_parser("step")
    verb.add_argument("name")
    verb.add_argument("command", nargs="+")
    verb.set_defaults(run=step)
    options = parser.parse_args()
    sys.exit(options.run(options))


if __name__ == "__main__":
    main()
