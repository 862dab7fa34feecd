"""`./dev chaos`: runs of scenario.py, each in a process, a network and a folder of its own.

    chaos.py [--scenarios N] [--from N] [--topology NAME] [--seed SEED] [--faults A,B] [--parallel N] [--record]

A seed's range is its topology (plan.py): of ten runs six have a plain Redis, the others take turns, and each counts
its seeds from --from on. Without --seed or --from they begin where the commit's hash says, so that each commit
tries others. The folder of a run that failed is kept under build/chaos/. Exit code 1 if a run failed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos.plan import FIRST_SEEDS, topology_of  # noqa: E402

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEPT = ROOT / "build/chaos"
TABLE = HERE / "verdicts.tsv"
COLUMNS = "date commit seed topology faults applications operations in_doubt excused_errors p99_ms verdict"
LIMIT_S = 240  # a run that takes longer hangs
SHARE = 2 / 15  # of the scenarios, for each topology but the plain one
ON_REQUEST = ("backup",)  # by --topology: docs/proof/chaos.md says what is open


def seconds_of(text):
    """"20m", "90s" """
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def seeds_of(options):
    """Those of the topologies alternate."""
    if options.seed is not None or options.soak:
        return [options.seed or 0]
    first = int(commit(), 16) % 100_000 if options.first is None else options.first
    if first >= min(filter(None, FIRST_SEEDS.values())):
        return range(first, first + options.scenarios)
    counts = {options.topology: options.scenarios}
    if options.topology is None:
        counts = {
            name: int(options.scenarios * SHARE) for name in FIRST_SEEDS if name not in ON_REQUEST
        }
        counts["plain"] += options.scenarios - sum(counts.values())
    ranges = [range(FIRST_SEEDS[name] + first, FIRST_SEEDS[name] + first + n) for name, n in counts.items()]
    turns = zip_longest(*sorted(ranges, key=len, reverse=True))
    return [seed for turn in turns for seed in turn if seed is not None]


def commit():
    run = subprocess.run(
        ["git", "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, cwd=ROOT
    )
    return run.stdout.strip() or "0"


def run_one(seed, options):
    """The run's summary; one with a problem if it did not get to its end."""
    folder = Path(tempfile.mkdtemp(prefix="stayd-chaos-"))
    argv = [sys.executable, HERE / "scenario.py", "--seed", str(seed), "--folder", folder]
    for name in ("faults", "soak"):
        if value := getattr(options, name):
            argv += [f"--{name}", str(value)]
    with open(folder / "output.txt", "w") as output:
        run = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT)
        try:
            run.wait(LIMIT_S + (options.soak or 0) * 1.5)
        except subprocess.TimeoutExpired:
            run.kill()  # what it has started dies with it
            run.wait()
    subprocess.run(["umount", "--lazy", folder / "disk"], capture_output=True)
    summary = last_json(folder / "output.txt") or broken(seed, folder / "output.txt")
    if summary["good"] and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        KEPT.mkdir(parents=True, exist_ok=True)
        summary["folder"] = KEPT / str(seed)
        shutil.rmtree(summary["folder"], ignore_errors=True)
        shutil.move(folder, summary["folder"])
    return summary


def run_twice(seed, options):
    """A wrong answer is never forgiven. An error outside its window may be the machine's: once more."""
    summary = run_one(seed, options)
    if summary["good"] or summary["violations"]:
        return summary
    print("\n".join([f"seed {seed} again, the first time:", *details_of(summary)]), flush=True)
    return run_one(seed, options)


def last_json(path):
    lines = path.read_text().splitlines()
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError):
        return None


def broken(seed, output):
    problem = f"the run did not end: {output.read_text()[-2000:]}"
    empty = {"seed": seed, "faults": [], "apps": [], "counts": {}, "violations": [], "errors": {}}
    return empty | {"excused": 0, "latencies_ms": {}, "problems": [problem], "good": False}


def verdict_of(summary):
    wrong = [f"{len(summary['violations'])} violations"] if summary["violations"] else []
    wrong += [f"{sum(summary['errors'].values())} errors"] if summary["errors"] else []
    wrong += [summary["problems"][0].split("\n")[0][:80]] if summary["problems"] else []
    within = f" (W14: {summary['unprotected']})" if summary.get("unprotected") else ""
    return (", ".join(wrong) or "ok") + within


def line_of(summary):
    faults = ", ".join(summary["faults"])
    p99 = "/".join(f"{ms:.0f}" for ms in summary["latencies_ms"].values())
    verdict = "ok" if summary["good"] else "FAILED"
    operations = summary["counts"].get("operations", 0)
    return f"seed {summary['seed']:<6} {verdict:6} {operations:6} operations, p99 {p99} ms: {faults}"


def details_of(summary):
    """What a failed run has to say."""
    lines = [f"  {count} x {text}" for text, count in summary["errors"].items()]
    lines += [f"  {problem}" for problem in summary["problems"]]
    kinds = Counter(violation["kind"] for violation in summary["violations"])
    lines += [f"  {count} x {kind}" for kind, count in kinds.items()]
    if kinds:
        lines.append(f"  the keys' histories: {summary['folder']}/violations.txt")
    return lines + [f"  again: ./dev chaos --seed {summary['seed']}; logs in {summary['folder']}"]


def record(summary):
    """One more line of the table that is kept."""
    counts, p99 = summary["counts"], summary["latencies_ms"]
    row = [time.strftime("%Y-%m-%d"), commit(), summary["seed"], topology_of(summary["seed"])]
    row.append(" ".join(summary["faults"]))
    row += [" ".join(summary["apps"]), counts.get("operations", 0), counts.get("in_doubt", 0)]
    row += [summary["excused"], "/".join(str(ms) for ms in p99.values())]
    row.append(verdict_of(summary))
    if not TABLE.exists():
        TABLE.write_text("\t".join(COLUMNS.split()) + "\n")
    with open(TABLE, "a") as table:
        table.write("\t".join(map(str, row)) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenarios", type=int, default=30)
    parser.add_argument("--from", dest="first", type=int, help="first seed")
    parser.add_argument("--topology", choices=FIRST_SEEDS, help="of all of them")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--faults", help="names with commas, instead of the seed's pairs")
    parser.add_argument("--soak", type=seconds_of, help="one long run, as 20m: a fault every 15 s")
    parser.add_argument("--parallel", type=int, default=3)
    parser.add_argument("--record", action="store_true", help=f"add to {TABLE.relative_to(ROOT)}")
    parser.add_argument("--twice", action="store_true", help="errors, not wrong answers: once more")
    parser.add_argument("--keep", action="store_true", help="keep the folders of good runs too")
    options = parser.parse_args()
    seeds = seeds_of(options)
    run = run_twice if options.twice else run_one
    good = operations = violations = 0
    with ThreadPoolExecutor(options.parallel) as pool:
        runs = [pool.submit(run, seed, options) for seed in seeds]
        for number, ended in enumerate(as_completed(runs), 1):
            summary = ended.result()
            print(f"[{number}/{len(runs)}] {line_of(summary)}", flush=True)
            if options.soak:
                print(f"  {summary.get('growth')}", flush=True)
            if not summary["good"]:
                print("\n".join(details_of(summary)), flush=True)
            if options.record:
                record(summary)
            good += summary["good"]
            operations += summary["counts"].get("operations", 0)
            violations += len(summary["violations"])
    print(f"chaos: {len(runs)} scenarios, {operations} operations, {violations} violations")
    return 0 if good == len(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
