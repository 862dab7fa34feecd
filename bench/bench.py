"""`./dev bench [PART] [flags]`: figures of stayd on this machine; docs/performance.md holds them.

Without a part, all parts run with their default values (about a quarter of an hour).
"""

import argparse
import sys
import tempfile
from pathlib import Path

import common
import failover
import memory
import outage
import recovery
import start
import throughput

# name -> (module, runs or rounds by default)
PARTS = {
    "throughput": (throughput, 3),
    "outage": (outage, 1),
    "recovery": (recovery, 1),
    "failover": (failover, 1),
    "memory": (memory, 1),
    "start": (start, 3),
}


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", metavar="PART")
    for name, (module, runs) in PARTS.items():
        summary = module.__doc__.strip()
        part = parts.add_parser(
            name,
            help=" ".join(summary.split(":")[0].split()),
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        part.add_argument("--runs", type=int, default=runs, metavar="N", help="default: %(default)s")
        module.add_arguments(part)
        part.set_defaults(parts=[name])
    options = parser.parse_args(argv)
    if options.part is not None:
        return [(PARTS[options.part][0], options)]
    return [(module, parser.parse_args([name])) for name, (module, _) in PARTS.items()]


def main():
    chosen = parse(sys.argv[1:])
    for module, options in chosen:
        if module is outage:
            outage.enter_own_network(options)
    print(common.heading(), flush=True)
    for module, options in chosen:
        with tempfile.TemporaryDirectory(prefix="stayd-bench-") as folder:
            module.run(options, Path(folder))


if __name__ == "__main__":
    main()
