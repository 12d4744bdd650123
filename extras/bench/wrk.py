"""Runs Debian's `wrk`."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("wrk.lua")


class Load(NamedTuple):
    """What came of some seconds of requests."""

    per_second: float
    p99: float  # milliseconds
    errors: int  # refusals, time-outs and broken connections


def parse(output: str) -> Load:
    """wrk's output, whose last line is the script's."""
    last = json.loads(output.strip().splitlines()[-1])
    return Load(last["requests"] / last["seconds"], last["p99"], last["errors"])


def need() -> str:
    """wrk's version; ends the program if it is missing."""
    if not shutil.which("wrk"):
        sys.exit("The benchmark needs `wrk`. Run: apt-get install wrk")
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.split(" [")[0]


def command(
    url: str, tokens: list[str], seconds: float, connections: int, body: str, core: int | None, keyed: bool
) -> list[str]:
    pin = ["taskset", "-c", str(core)] if core is not None and shutil.which("taskset") else []
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(SCRIPT)]
    return [*pin, "wrk", *options, url, "--", "POST" if body else "GET", body, "keyed" * keyed, *tokens]


async def load(
    url: str,
    tokens: list[str],
    seconds: float,
    connections: int = 16,
    body: str = "",
    core: int | None = None,
    keyed: bool = False,
) -> Load:
    """GET, or POST a body, again and again on all connections, with each token in turn, and if `keyed` a new key."""
    pipe = asyncio.subprocess.PIPE
    arguments = command(url, tokens, seconds, connections, body, core, keyed)
    process = await asyncio.create_subprocess_exec(*arguments, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    if process.returncode:
        sys.exit(f"wrk: {errors.decode() or output.decode()}")
    return parse(output.decode())
