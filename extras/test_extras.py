"""What holds for every extra: a manual, a row in the README, tests of its own, and peace with the others."""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from test_app import SERVER, add, new_database, serve, sign_up

EXTRAS = Path(__file__).parent
MODULES = {
    file.parent.name if file.stem == "__init__" else file.stem: file
    for file in sorted([*EXTRAS.glob("*.py"), *EXTRAS.glob("*/__init__.py")])
    if "\ndef setup(" in file.read_text("utf-8") and not file.name.startswith("test_")
}
NEEDED = {  # without which some do not start
    "CORS_ORIGINS": "https://a.example",
    "MAIL_URL": "smtp://127.0.0.1:9?starttls=no",  # where nobody listens
    "MAIL_FROM": "posts@example.com",
    "MAIL_LINK": "https://posts.example.com/",
}
PACKAGES = re.findall(r"^[\w-]+", EXTRAS.joinpath("requirements.txt").read_text("utf-8"), re.MULTILINE)

# Forks a process for each pair, as importing the libraries takes longer than all the rest.
PAIRS = """
import itertools, os, sys
import fastapi.testclient, fastapi.openapi.utils, sqlalchemy.orm, pydantic, cachetools, email_validator, uvicorn

def use(names):
    os.environ.update(EXTRAS=",".join(names), DATABASE_URL="sqlite://")
    import app, auth
    auth.SCRYPT = "scrypt$4$8$1"
    with fastapi.testclient.TestClient(app.app) as client:
        credentials = {"email": "ada@example.com", "password": "correct horse"}
        token = client.post("/signup", json=credentials).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert client.post("/login", json=credentials).status_code == 200
        assert client.post("/addPost", json={"text": "hi"}, headers=headers).json() == {"postID": 1}
        keyed = headers | {"Idempotency-Key": "8e03978e"}
        sent = [client.post("/addPost", json={"text": "hi"}, headers=keyed) for _ in range(2)]
        assert [each.headers.get("Idempotent-Replayed") == "true" for each in sent] == [False, "idempotency" in names]
        assert client.get("/getPosts", headers=headers).json()[0]["text"] == "hi"
        assert client.delete("/deletePost/1", headers=headers).status_code == 204
        assert "/addPost" in client.get("/openapi.json").json()["paths"]

failed = []
names = sys.argv[1:]
for pair in [*itertools.permutations(names, 2), names, names[::-1]]:
    child = os.fork()
    if not child:
        use(pair)
        sys.stderr.flush()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(pair)
sys.exit(f"failed: {failed}" if failed else 0)
"""


@pytest.mark.parametrize("name", MODULES)
def test_an_extra_has_a_manual_a_row_in_the_readme_and_tests(name: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[name].read_text("utf-8")))
    assert f"| [`{name}`](extras/{name}/__init__.py) |" in EXTRAS.with_name("README.md").read_text("utf-8")
    assert [*EXTRAS.glob(f"test_{name}.py"), *EXTRAS.glob(f"{name}/test_*.py")]


def test_the_readme_has_at_most_170_lines() -> None:
    assert EXTRAS.with_name("README.md").read_text("utf-8").count("\n") <= 170


@pytest.fixture
def packages() -> None:
    try:
        list(map(version, PACKAGES))
    except PackageNotFoundError as error:
        pytest.skip(f"{error.name} is missing: pip install -r extras/requirements.txt")


@pytest.mark.usefixtures("packages")
def test_any_two_extras_work_together_in_either_order_and_all_of_them_do(tmp_path: Path) -> None:
    environment = {**os.environ, **NEEDED, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PAIRS, *MODULES]
    done = subprocess.run(command, cwd=EXTRAS.parent, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


OPERATIONS = """
    add_post change_email change_password delete_account delete_post delete_session edit_post export_data find_posts
    forgot_password get_post get_posts get_profile list_sessions livez log_out log_out_everywhere login public_posts
    put_profile readyz refresh_token resend_verification reset_password signup verify_email
"""


@pytest.mark.usefixtures("packages")
def test_with_all_extras_on_each_operation_has_a_name_of_its_own_and_can_be_tried_in_swagger() -> None:
    with new_database() as url, serve(url, wait=True, EXTRAS=",".join(MODULES), **NEEDED) as server:
        paths = server.get("/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert sorted(operation["operationId"] for operation in operations) == OPERATIONS.split()
    needed = [each for operation in operations for each in operation.get("parameters", []) if each["required"]]
    # Of a parameter Swagger UI fills in neither of the other two forms.
    assert [each for each in needed if not ("examples" in each or "example" in each["schema"])] == []


@pytest.mark.skipif(SERVER.startswith(("mysql", "mariadb")), reason="SQLite's")
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("extras", ["", "fast"])
def test_after_sigterm_all_is_in_the_one_file_of_sqlite(workers: str, extras: str) -> None:
    with new_database() as url:
        file = Path(url.removeprefix("sqlite:///"))
        with serve(url, "--workers", workers, wait=True, EXTRAS=extras) as server:
            add(server, sign_up(server))
        assert [each.name for each in file.parent.glob(f"{file.name}*")] == [file.name]


ODD = [
    "correct \ud800 horse",
    "\udfff",
    "\0",
    "",
    "x" * 16_000,
    "correct horse\u202e",
    2**63,
    -(2**63),
    1e308,
    [],
    {},
    None,
]


@pytest.mark.usefixtures("packages")
def test_whatever_a_field_holds_no_route_of_any_extra_answers_with_a_500() -> None:
    names = ",".join(MODULES.keys() - {"limits"})  # which would let few through
    with new_database() as url, serve(url, wait=True, EXTRAS=names, **NEEDED) as server:
        whole = server.get("/openapi.json").json()
        operations = [(path, *each) for path, item in whole["paths"].items() for each in item.items()]
        for path, method, operation in operations:
            if "requestBody" not in operation:
                continue
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            schema = whole["components"]["schemas"][name]["properties"]
            fields = {field: each.get("examples", ["draft"])[0] for field, each in schema.items()}
            for field in fields:
                headers, statuses = {**sign_up(server), "Content-Type": "application/json"}, set()
                address = path.replace("{postID}", str(add(server, headers)))
                for value in ODD:
                    content = json.dumps(fields | {field: value})
                    statuses.add(server.request(method, address, content=content, headers=headers).status_code)
                assert 422 in statuses, (path, field)
                assert max(statuses) < 500, (path, field)
        assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("setting", "home", "livez"),
    [
        (None, 200, 404),
        ("+health", 200, 200),
        ("+", 200, 404),
        (" health , ", 307, 200),
        ("+logs,+health", 200, 200),
        ("", 307, 404),
    ],
)
def test_unset_means_the_default_ones_and_a_plus_adds_to_them(
    setting: str | None, home: int, livez: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXTRAS", raising=False)
    if setting is not None:
        monkeypatch.setenv("EXTRAS", setting)
    with new_database() as url, serve(url, "--root-path", "/blog") as server:
        answer = server.get("/")
        assert answer.status_code == home
        assert answer.headers.get("location", "docs") == "docs"  # relative: it leads to /blog/docs
        assert server.get("/livez").status_code == livez
        assert "cdn.jsdelivr.net" in server.get("/docs").text or home == 200  # Swagger UI is the app's own by default
