"""Clients that are generated from the description, and what they do: `pytest .ci/clients`.

For the core alone and with all extras on. What needs a program that is not there is skipped, with a line that says so.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from test_app import ROOT, new_database, serve

HERE = Path(__file__).parent
ALL = ",".join(file.parent.name for file in ROOT.glob("extras/*/__init__.py") if "\ndef setup(" in file.read_text())
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


class Service(NamedTuple):
    url: str
    description: Path
    journeys: list[str]


@pytest.fixture(scope="module", params=["", ALL], ids=["core", "all extras"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"EXTRAS": request.param, "CORS_ORIGINS": "https://a.example", "LIMITS_ATTEMPTS": "3/hour"}
    settings |= {"MAIL_URL": "smtp://127.0.0.1:9", "MAIL_FROM": "posts@example.com", "MAIL_LINK": "https://a.example"}
    with new_database() as url, serve(url, **settings) as server:
        description = tmp_path_factory.mktemp("description") / "openapi.json"
        description.write_text(server.get("/openapi.json").text)
        journeys = ["journey", "journey_of_extras"] if request.param else ["journey"]
        yield Service(str(server.base_url).rstrip("/"), description, journeys)
        assert "Traceback" not in server.log


def find(program: str) -> str:
    path = shutil.which(program, path=PATH)
    return path or pytest.skip(f"{program} is missing")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    variables = {**os.environ, "PATH": PATH, **environment}
    done = subprocess.run(command, cwd=cwd, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What package.json names, installed."""
    folder = tmp_path_factory.mktemp("npm")
    npm = find("npm")
    shutil.copy(HERE / "package.json", folder)
    run(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", cwd=folder)
    return folder / "node_modules"


def generate(service: Service, language: str, folder: Path, options: str) -> None:
    find("java")
    generator = find("openapi-generator-cli")
    run(generator, "generate", "-i", service.description, "-g", language, "-o", folder, *options.split(), cwd=folder)


def test_redocly_finds_no_error_in_the_description(service: Service, node_modules: Path) -> None:
    run(node_modules / ".bin/redocly", "lint", service.description, cwd=node_modules.parent)


def test_a_python_client_is_typed_and_makes_the_whole_journey(service: Service, tmp_path: Path) -> None:
    make_python_client(service, tmp_path)
    for journey in service.journeys:
        file = HERE / f"{journey}.py"
        mypy = (sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache")
        run(*mypy, "--python-executable", interpreter(), file, "posts_client", cwd=tmp_path, MYPYPATH=str(tmp_path))
        run(interpreter(), file, service.url, cwd=tmp_path, PYTHONPATH=str(tmp_path))


def make_python_client(service: Service, folder: Path) -> None:
    generator = find("openapi-python-client")
    (folder / "config.yaml").write_text("post_hooks: []")  # as the generator writes it
    options = ("--path", service.description, "--output-path", folder / "posts_client", "--meta", "none")
    run(generator, "generate", "--fail-on-warning", "--config", folder / "config.yaml", *options, cwd=folder)


def interpreter() -> Path:
    """Python with the packages that the client needs."""
    return Path(find("openapi-python-client")).with_name("python")


def test_a_typescript_client_is_typed_and_makes_the_whole_journey(
    service: Service, node_modules: Path, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(node_modules)
    for name in ("package.json", "tsconfig.json", *(f"{journey}.ts" for journey in service.journeys)):
        shutil.copy(HERE / name, tmp_path)
    run(node_modules / ".bin/openapi-typescript", service.description, "-o", "posts.d.ts", cwd=tmp_path)
    run(node_modules / ".bin/tsc", "-p", ".", cwd=tmp_path)
    for journey in service.journeys:
        run(find("node"), f"out/{journey}.js", service.url, cwd=tmp_path)


@contextmanager
def validating_proxy(service: Service, prism: Path, log: Path) -> Iterator[str]:
    """Prism's address. It compares each request and answer with the description, and logs what differs."""
    command = [str(prism), "proxy", str(service.description), service.url, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        try:
            address = next(
                found[0] for line in lines if (found := re.search(r"(?<=listening on )http://[\d.:]+", line))
            )
            yield address
        finally:
            process.terminate()
            log.write_text("".join(lines))


def test_prism_finds_no_answer_that_the_description_does_not_allow(
    service: Service, node_modules: Path, tmp_path: Path
) -> None:
    make_python_client(service, tmp_path)
    log = tmp_path / "prism.log"
    with validating_proxy(service, node_modules / ".bin/prism", log) as url:
        for journey in service.journeys:
            (tmp_path / "journey.py").write_text((HERE / f"{journey}.py").read_text().replace(".py@", ".prism@"))
            run(interpreter(), "journey.py", url, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    found = re.findall(r"Violation: (\S+)", log.read_text())
    assert set(found) == {"request.body.email", "request.body.password", "request.body.text", "request.query.limit"}


def test_a_go_client_compiles(service: Service, tmp_path: Path) -> None:
    go = find("go")
    generate(service, "go", tmp_path, "--global-property apiTests=false,modelTests=false,apis,models,supportingFiles")
    shutil.copy(HERE / "journey.go", tmp_path)
    run(go, "build", "./...", cwd=tmp_path, GOPROXY="off", GOFLAGS="-mod=mod", GOCACHE=str(tmp_path / "cache"))


# Of a library that Debian lacks. With `dateLibrary=legacy` nothing is asked of it.
STUBS = {"com.fasterxml.jackson.datatype.jsr310": "JavaTimeModule", "org.openapitools.client": "RFC3339JavaTimeModule"}


def test_a_java_client_compiles(service: Service, tmp_path: Path) -> None:
    javac = find("javac")
    if not Path("/usr/share/java/jackson-databind.jar").exists():
        pytest.skip("libjackson2-databind-java is missing")
    options = "openApiNullable=false,dateLibrary=legacy"
    generate(service, "java", tmp_path, f"--library native --additional-properties={options}")
    for package, name in STUBS.items():
        stub = f"public class {name} extends com.fasterxml.jackson.databind.module.SimpleModule {{}}"
        (tmp_path / f"{name}.java").write_text(f"package {package}; {stub}")
    generated = [each for each in tmp_path.glob("src/main/**/*.java") if not re.search("JavaTime|Instant", each.name)]
    run(
        javac,
        "-d",
        "out",
        "-cp",
        "/usr/share/java/*",
        HERE / "Journey.java",
        *tmp_path.glob("*.java"),
        *generated,
        cwd=tmp_path,
    )
