"""The benchmark's parts, and that it runs; what it measures is no test's matter."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SERVER = os.environ.get("DATABASE_URL", "")
DATABASE = ["--database-url", SERVER] if SERVER.startswith(("mysql", "mariadb")) else []


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "extras.bench", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300)


def python(code: str) -> str:
    """What a piece of Python prints; in a process of its own, as the benchmark sets its own DATABASE_URL."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_last_line_of_wrk_is_read() -> None:
    output = 'Running 2s test\n  4000 requests\n{"requests": 4000, "seconds": 2.0, "p99": 7.5, "errors": 3}\n'
    assert python(f"from extras.bench import wrk; print(wrk.parse({output!r}))") == (
        "Load(per_second=2000.0, p99=7.5, errors=3)\n"
    )


def test_the_table_is_aligned_markdown() -> None:
    rows = [{"route": "getPosts", "requests/s": 12345}, {"route": "add", "requests/s": 7}]
    assert python(f"from extras.bench import report; print(report.table({rows!r}))").splitlines() == [
        "| route    | requests/s |",
        "|----------|-----------:|",
        "| getPosts |     12,345 |",
        "| add      |          7 |",
    ]


def test_the_plot_is_well_formed_with_a_line_for_each_route_in_both_panels() -> None:
    code = """
from extras.bench import report
from extras.bench.wrk import Load
print(report.plot({"a<b": {1: Load(100, 0, 0), 512: Load(90000, 70, 0)}, "c": {1: Load(5, 5, 0)}}, "A & B"))
"""
    svg = ElementTree.fromstring(python(code))
    assert len(svg.findall(".//{*}polyline")) == 4
    assert {"A & B", "● a<b"} <= {text.text for text in svg.findall(".//{*}text")}


def test_without_wrk_it_ends_with_one_clear_line(tmp_path: Path) -> None:
    done = run(PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "The benchmark needs `wrk`. Run: apt-get install wrk\n"


@pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk")
def test_a_short_run_gives_the_rows_of_its_trials_and_the_plot(tmp_path: Path) -> None:
    picture = tmp_path / "bench.svg"
    done = run("--speed", "--metrics", "--keys", "--miss", "--short", "--json", "--plot", str(picture), *DATABASE)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert list(results) == ["machine", "speed", "metrics", "keys", "miss", "plot"]
    speed = {row["route"]: row for row in results["speed"]}
    assert all(row["requests/s"] > 0 for row in speed.values())
    assert speed["getPosts"]["errors"] == speed["addPost"]["errors"] == 0
    assert all("skipped" in row or row["requests/s"] > 0 for row in results["metrics"])
    assert all(row["requests/s"] > 0 == row["errors"] for row in results["keys"])
    ElementTree.parse(picture)
