"""The command line: which trials to run, and how to show what came of them."""

import argparse
import json
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.exc import OperationalError

from models import reason

from . import __doc__ as manual
from . import report, trials, wrk

TRIALS = {
    trial.__name__: trial
    for trial in (
        trials.speed,
        trials.metrics,
        trials.keys,
        trials.miss,
        trials.growth,
        trials.large,
        trials.storms,
        trials.workers,
    )
}


def read_arguments(arguments: list[str]) -> argparse.Namespace:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m extras.bench", description=manual, formatter_class=layout)
    parser.add_argument("--database-url", default="", help="a server of MySQL or MariaDB; SQLite without it")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="draw throughput and p99 over 1 to 512 connections"
    )
    parser.add_argument(
        "--short", action="store_true", help="with no trial named, all of them; the figures mean little"
    )
    for name in TRIALS:
        parser.add_argument(f"--{name}", action="append_const", dest="trials", const=name, help="run this trial")
    options = parser.parse_args(arguments)
    if options.database_url and not options.database_url.startswith(("mysql", "mariadb")):
        parser.error("--database-url is mysql://USER:PASSWORD@HOST/; without it, the trials use SQLite files")
    if not options.trials:
        options.trials = list(TRIALS) if options.short else [] if options.plot else ["speed"]
    return options


def machine(server: str) -> str:
    """What the figures depend on, in one line."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    processor = models[0].split(": ")[1] if models else platform.processor() or platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in ("fastapi", "uvicorn", "uvloop", "sqlalchemy"))
    cores = f"{len(models)} cores of " if models else ""
    python = f"Python {platform.python_version()}"
    return f"{cores}{processor}; {python}, {packages}; {trials.database_version(server)}; {wrk.need()}"


def main(arguments: list[str]) -> None:
    options = read_arguments(arguments)
    wrk.need()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # thousands of connections
    try:
        about = machine(options.database_url)
    except OperationalError as error:
        sys.exit(f"--database-url cannot be used: {reason(error)}")
    results: dict[str, object] = {"machine": about}
    if not options.json:
        print(about)
    for name in options.trials:
        results[name] = rows = TRIALS[name](options.database_url, options.short)
        if not options.json:
            print(f"\n{name}\n{report.table(rows)}", flush=True)
    if options.plot:
        curves = trials.curves(options.database_url, options.short)
        results["plot"] = {name: {n: load._asdict() for n, load in loads.items()} for name, loads in curves.items()}
        options.plot.write_text(report.plot(curves, about), encoding="utf-8")
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
