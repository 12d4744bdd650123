"""Checks each file with the tool that reads it, where that is installed; nginx and Caddy are run before a real server.

`caddy`, `docker compose` or `docker-compose`, `hadolint`, `nginx`, `strace` and `systemd-analyze` are looked for.
"""

import getpass
import itertools
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from test_app import ROOT, Server, new_database, serve

FOLDER = Path(__file__).parent
HOST = "posts.example.com"
Proxy = Callable[[Path, int, int], list[str]]  # (folder, port, port of the app) -> command


def tool(name: str) -> str:
    """The path of a program; the test is skipped without it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    return path or pytest.skip(f"{name} is not installed")


def check(*command: str, **variables: str) -> str:
    """What it prints; it must end well."""
    out, both = subprocess.PIPE, subprocess.STDOUT
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, stdout=out, stderr=both, text=True)
    assert run.returncode == 0, run.stdout
    return run.stdout


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.mark.parametrize(("name", "program"), [("posts", "uvicorn"), ("posts-purge", "python")])
def test_systemd_takes_the_unit(name: str, program: str, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    unit = tmp_path / f"{name}.service"
    path = f"/opt/posts/.venv/bin/{program}"
    text = (FOLDER / unit.name).read_text()
    assert path in text
    unit.write_text(text.replace(path, sys.executable))  # which is there
    assert check(analyze, "verify", str(unit)) == ""
    check(analyze, "security", "--offline=true", "--threshold=20", str(unit))  # exposed by 2.0 of 10 at most


def test_systemd_takes_the_timer_of_a_unit_that_is_there(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    timer = shutil.copy(FOLDER / "posts-purge.timer", tmp_path)
    (tmp_path / "posts-purge.service").write_text(f"[Service]\nType=oneshot\nExecStart={sys.executable} -V\n")
    assert check(analyze, "verify", str(timer)) == ""
    assert (FOLDER / "posts-purge.service").exists()


def members(name: str) -> set[str]:
    """The system calls of one of systemd's groups, or the one of this name."""
    if not name.startswith("@"):
        return {name}
    lines = check(tool("systemd-analyze"), "syscall-filter", name).splitlines()[1:]
    return {call for line in lines if line.strip() and "#" not in line for call in members(line.strip())}


def test_the_unit_allows_what_a_server_calls(tmp_path: Path) -> None:
    allowed = members("@default")
    for names in re.findall("^SystemCallFilter=(.+)", (FOLDER / "posts.service").read_text(), re.MULTILINE):
        calls = {call for name in names.removeprefix("~").split() for call in members(name)}
        allowed = allowed - calls if names.startswith("~") else allowed | calls
    out, port = tmp_path / "calls", free_port()
    trace = [tool("strace"), "-f", "-c", "-U", "name", "-o", str(out)]
    server = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--limit-max-requests", "1"]
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/blog.db"}
    with subprocess.Popen([*trace, *server], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with suppress(httpx2.TransportError):
                credentials = {"email": "ada@example.com", "password": "correct horse"}
                assert httpx2.post(f"http://127.0.0.1:{port}/signup", json=credentials).status_code == 201
                break
            time.sleep(0.05)
    called = set(re.findall(r"^ *([a-z]\w+) *$", out.read_text(), re.MULTILINE)) - {"syscall", "total"}
    assert "clone3" in called
    assert called - allowed <= {"fchown"}  # which SQLite calls only as root


def compose() -> list[str]:
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    return [tool("docker-compose")]


def test_compose_takes_its_file_and_asks_for_the_password() -> None:
    config = [*compose(), "--project-directory", ".", "-f", "extras/deploy/compose.yaml", "config"]
    assert "mysql://posts:secret@mysql/posts" in check(*config, MYSQL_PASSWORD="secret")
    with pytest.raises(AssertionError, match="MYSQL_PASSWORD"):
        check(*config, MYSQL_PASSWORD="")


def test_compose_passes_each_setting_of_the_core_and_the_extras_on() -> None:
    files = [*ROOT.glob("*.py"), *FOLDER.parent.glob("*.py"), *FOLDER.parent.glob("*/__init__.py")]
    code = "".join(file.read_text() for file in files if not file.name.startswith("test_"))
    names = set(re.findall(r'environ\.get\("([A-Z_]+)"', code)) - {"PATH", "PROMETHEUS_MULTIPROC_DIR"}
    limits = "SIGNUP", "LOGIN", "ATTEMPTS", "GUESSES", "REQUESTS", "READERS", "REVOCATIONS"
    names |= {"PUBLIC_INDEX", "PUBLIC_URL", *(f"LIMITS_{name}" for name in limits)}
    assert set(re.findall("^ {6}([A-Z_]+):", (FOLDER / "compose.yaml").read_text(), re.MULTILINE)) >= names
    config = [*compose(), "--project-directory", ".", "-f", "extras/deploy/compose.yaml", "config"]
    assert "TOKEN_TTL: '77'" in check(*config, MYSQL_PASSWORD="secret", TOKEN_TTL="77").replace('"', "'")


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert check(tool("hadolint"), "--no-color", str(FOLDER / "Dockerfile")) == ""


@pytest.fixture
def buildah(tmp_path: Path) -> list[str]:
    """The command that works without an engine, on images of its own: Debian with Python is the Dockerfile's base."""
    command = [
        tool("buildah"),
        "--storage-driver",
        "vfs",
        "--root",
        f"{tmp_path}/images",
        "--runroot",
        f"{tmp_path}/run",
    ]
    make = [tool("debootstrap"), "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm"]
    if subprocess.run([*make, tmp_path / "debian"], capture_output=True).returncode:
        pytest.skip("debootstrap makes no Debian here")
    (tmp_path / "debian/usr/bin/python").symlink_to("python3")
    container = check(*command, "from", "scratch").strip()
    check(*command, "copy", container, f"{tmp_path}/debian", "/")
    check(*command, "commit", container, "docker.io/library/python:3.13-slim")
    return command


def test_an_image_answers_whose_checkout_only_its_owner_may_read(buildah: list[str], tmp_path: Path) -> None:
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(".*", "__pycache__", "*.db*"))
    check("chmod", "-R", "go=", str(source))
    hosts = [f"--volume={path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
    build = ["build", "--format", "docker", "--isolation", "chroot", "--pull=never", "--tag", "posts", *hosts]
    assert "warning" not in check(*buildah, *build, "--file", f"{source}/extras/deploy/Dockerfile", str(source)).lower()
    container = check(*buildah, "from", "--pull=never", "posts").splitlines()[-1]
    port = free_port()
    server = ["uvicorn", "app:app", "--port", str(port), "--workers", "1", "--limit-max-requests", "1"]
    run = [*buildah, "run", "--isolation", "chroot", "--user", "10001", container, "--", *server]
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with suppress(httpx2.TransportError):
                assert httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
                break
            time.sleep(0.05)
    assert process.returncode == 0


def test_what_the_image_holds_is_enough_to_start(tmp_path: Path) -> None:
    """COPY and .dockerignore done by hand, with the packages that are here."""
    instructions = (FOLDER / "Dockerfile").read_text()
    assert "COPY *.py ./\nCOPY extras ./extras\n" in instructions
    kept = re.findall(r"^!(.+)$", (FOLDER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    ignored = shutil.ignore_patterns("__pycache__", "test_*.py", ".*")
    for name in kept:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    variables = {"DATABASE_URL": f"sqlite:///{tmp_path}/blog.db", "EXTRAS": "", "PYTHONSAFEPATH": "1"}
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import app; print(app.__file__)"
    assert check(sys.executable, "-c", start, **variables) == f"{tmp_path}/app.py\n"


def nginx(folder: Path, port: int, app_port: int) -> list[str]:
    """The command that runs nginx.conf with ports, files and a certificate of its own."""
    key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=posts -keyout privkey.pem"
    subprocess.run(
        [tool("openssl"), *key.split(), "-out", "fullchain.pem"], cwd=folder, check=True, capture_output=True
    )
    site = re.sub(r" +listen \[::\].*\n", "", (FOLDER / "nginx.conf").read_text())
    for old, new in {
        "/etc/letsencrypt/live/posts.example.com": str(folder),
        "listen 443": f"listen 127.0.0.1:{port}",
        "listen 80": f"listen 127.0.0.1:{free_port()}",
        "127.0.0.1:8000": f"127.0.0.1:{app_port}",
    }.items():
        assert old in site
        site = site.replace(old, new)
    folders = "".join(f"{each}_temp_path {folder}; " for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = folder / "main.conf"
    main.write_text(
        f"daemon off; user {getpass.getuser()}; pid {folder}/pid; events {{}}\n"
        f"http {{ access_log off; {folders} {site} }}"
    )
    command = [tool("nginx"), "-c", str(main), "-e", f"{folder}/error.log"]
    check(*command, "-t")
    return command


def caddy(folder: Path, port: int, app_port: int) -> list[str]:
    """The command that runs the Caddyfile with ports, files and a certificate of its own."""
    check(tool("caddy"), "validate", "--adapter", "caddyfile", "--config", str(FOLDER / "Caddyfile"))
    site = (FOLDER / "Caddyfile").read_text()
    for old, new in {f"\n{HOST} {{": f"\n{HOST}:{port} {{\ntls internal\n", ":8000": f":{app_port}"}.items():
        assert old in site
        site = site.replace(old, new)
    own = folder / "Caddyfile"
    own.write_text(
        f"{{\nadmin off\nskip_install_trust\nauto_https disable_redirects\nstorage file_system {folder}\n}}\n{site}"
    )
    return [tool("caddy"), "run", "--adapter", "caddyfile", "--config", str(own)]


@contextmanager
def run(command: list[str], port: int) -> Iterator[httpx2.Client]:
    """Run a proxy until the block ends; the client speaks TLS to it, and lies about its address."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    headers = {"Host": HOST, "X-Forwarded-For": "203.0.113.9"}
    hooks = {"request": [lambda request: request.extensions.update(sni_hostname=HOST)]}
    url = f"https://127.0.0.1:{port}"
    try:
        with httpx2.Client(base_url=url, verify=False, headers=headers, event_hooks=hooks, timeout=30) as client:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    client.get("/openapi.json")
                except httpx2.TransportError:
                    time.sleep(0.05)
                else:
                    break
            yield client
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with new_database() as url, serve(url, "--timeout-keep-alive", "75") as server:
        yield server


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_a_proxy_passes_the_contract_on(proxy: Proxy, server: Server, tmp_path: Path) -> None:
    port = free_port()
    with run(proxy(tmp_path, port, server.base_url.port or 0), port) as client:
        headers = server.account()
        largest = json.dumps({"text": "x" * (1_048_576 - 12)})
        assert len(largest) == 1_048_576
        headers["Content-Type"] = "application/json"
        assert client.post("/addPost", content=largest, headers=headers).status_code == 201
        assert len(client.get("/getPosts", headers=headers).json()[0]["text"]) == 1_048_576 - 12
        for size in (1, 2_000_000):
            refused = client.post("/addPost", content=largest + " " * size, headers=headers)
            assert refused.status_code == 413
            assert "too large" in refused.json()["detail"]
        streamed = client.post("/addPost", content=(b" " * 65536 for _ in range(64)), headers=headers)
        assert streamed.status_code == 413
        assert "too large" in streamed.json()["detail"]
        unknown = client.get("/metrics")
        assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})
        assert unknown.headers["Content-Type"] == "application/json"
        assert client.get("/getPosts").headers["WWW-Authenticate"] == "Bearer"
    assert "127.0.0.1" in server.log
    assert "203.0.113.9" not in server.log


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_no_body_becomes_a_request_of_its_own_behind_a_proxy(proxy: Proxy, server: Server, tmp_path: Path) -> None:
    port = free_port()
    with run(proxy(tmp_path, port, server.base_url.port or 0), port) as client:
        victim = server.account()
        post_id = client.post("/addPost", json={"text": "hi"}, headers=victim).json()["postID"]
        inner = (
            f"DELETE /deletePost/{post_id} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {victim['Authorization']}\r\n\r\n"
        )
        bodies = (
            f"Content-Length: {len(inner)}\r\n\r\n{inner}",
            f"Transfer-Encoding: chunked\r\n\r\n{len(inner):x}\r\n{inner}\r\n0\r\n\r\n",
        )
        heads = (
            "POST /addPost HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
            "POST /addPost HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            "CONNECT /addPost HTTP/1.1\r\n",
            f"CONNECT {HOST}:443 HTTP/1.1\r\n",
        )
        for head, body, apart in itertools.product(heads, bodies, (False, True)):
            answer = speak_tls(port, f"{head}Host: {HOST}\r\n", body, apart)
            assert re.match(rb"HTTP/1.1 4\d\d ", answer), (head, answer)
            assert len(client.get("/getPosts", headers=victim).json()) == 1, (head, body, apart)
        java = {
            **victim,
            "Connection": "Upgrade, HTTP2-Settings",
            "Upgrade": "h2c",
            "HTTP2-Settings": "AAEAAEAAAAIAAAAB",
        }
        assert client.post("/addPost", json={"text": "from Java"}, headers=java).status_code == 201


def speak_tls(port: int, head: str, body: str, apart: bool) -> bytes:
    """The beginning of what a proxy answers to these bytes, in one packet or in two."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname=HOST) as connection:
        for part in (head, body) if apart else (head + body,):
            connection.sendall(part.encode())
        return connection.recv(1000)


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_a_proxy_refuses_endless_headers(proxy: Proxy, server: Server, tmp_path: Path) -> None:
    port = free_port()
    with run(proxy(tmp_path, port, server.base_url.port or 0), port) as client, suppress(httpx2.TransportError):
        answer = client.get("/getPosts", headers={f"X-{number}": "x" * 4000 for number in range(500)})
        assert answer.status_code in {400, 431}


def test_nginx_refuses_in_json_whatever_it_refuses(server: Server, tmp_path: Path) -> None:
    port = free_port()
    with run(nginx(tmp_path, port, server.base_url.port or 0), port) as client:
        for status, method, path, headers in (
            (400, "GET", "/getPosts", {"Transfer-Encoding": "chunked", "Content-Length": "1"}),
            (405, "TRACE", "/getPosts", {}),
            (414, "GET", "/" + "x" * 9_000, {}),
        ):
            refused = client.request(method, path, headers=headers)
            assert (refused.status_code, refused.json()) == (status, {"detail": "The request cannot be served."})
            assert refused.headers["Content-Type"] == "application/json"
            assert refused.headers["X-Content-Type-Options"] == "nosniff"
            assert refused.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert "Retry-After" not in refused.headers


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_a_proxy_says_503_in_json_while_the_app_is_away(proxy: Proxy, tmp_path: Path) -> None:
    port = free_port()
    with run(proxy(tmp_path, port, free_port()), port) as client:
        away = client.get("/getPosts")
        assert away.status_code == 503
        assert away.headers["Retry-After"] == "5"
        assert away.headers["Content-Type"] == "application/json"
        assert "not available" in away.json()["detail"]


def commands(heading: str, number: int) -> str:
    """The shell commands of the manual under this heading."""
    section = (FOLDER / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found: list[str] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return found[number]


@contextmanager
def writing(server: Server, headers: dict[str, str]) -> Iterator[list[int]]:
    """Somebody posts all the while; gives the ids."""
    ids: list[int] = []
    stop = threading.Event()

    def post() -> None:
        while not stop.is_set():
            ids.append(server.post("/addPost", json={"text": "x" * 1000}, headers=headers).json()["postID"])

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield ids
    finally:
        stop.set()
        thread.join()


def ids_of(server: Server, headers: dict[str, str]) -> list[int]:
    return sorted(post["postID"] for post in server.get("/getPosts", headers=headers).json())


def fill(url: str, megabytes: int) -> None:
    """With posts of an account of their own."""
    tables = sa.MetaData()
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        tables.reflect(connection)
        users, posts = tables.tables["users"], tables.tables["posts"]
        owner = {"email": "large@example.com", "password_hash": "", "posts_version": 0, "created_at": 0}
        user_id = connection.execute(users.insert(), owner).lastrowid
        post = {
            "user_id": user_id,
            "size": 10**6,
            "status": "draft",
            "created_at": 0,
            "updated_at": 0,
            "text": "x" * 10**6,
        }
        for _ in range(megabytes):
            connection.execute(posts.insert(), post)


def test_the_manuals_back_up_ends_while_posts_are_written_and_its_restore_brings_them_back(tmp_path: Path) -> None:
    with new_database() as url, ExitStack() as stack:
        tool("mysqldump" if url.startswith("mysql") else "sqlite3")
        (name,) = re.findall(r"[\w.]+$", url)
        kind, bash = int(url.startswith("mysql")), tool("bash")
        if kind:
            parts = sa.make_url(url)
            (tmp_path / ".my.cnf").write_text(
                f"[client]\nhost={parts.host}\nport={parts.port or 3306}\nuser={parts.username}\n"
                f"password={parts.password or ''}\n"
            )
            for database in (f"{name}_old", f"{name}_new"):
                stack.callback(check, "mysql", "-e", f"DROP DATABASE IF EXISTS {database}", HOME=str(tmp_path))

        def run_manual(heading: str) -> None:
            script = commands(heading, kind).replace("/var/backups", str(tmp_path))
            folder = url.removeprefix("sqlite:///").removesuffix(f"/{name}")
            if kind:
                script = re.sub(r"\bposts(?=(?:_new|_old)?\b)(?!\.(?:new|db|sql))", name, script)
            check(bash, "-c", script.replace("/var/lib/posts", folder), HOME=str(tmp_path))

        with serve(url) as server:
            headers = server.account()
            fill(url, 500)
            with writing(server, headers) as ids:
                while len(ids) < 100:
                    time.sleep(0.01)
                before = len(ids)
                run_manual("Back-ups")
                assert len(ids) > before
            etag = server.get("/getPosts", headers=headers).headers["etag"]
            server.delete(f"/deletePost/{ids[0]}", headers=headers)
        run_manual("Restore")
        with serve(url) as server:
            restored = ids_of(server, headers)
            assert before <= len(restored) <= len(ids)
            assert restored == ids[: len(restored)]
            assert server.get("/getPosts", headers={**headers, "If-None-Match": etag}).status_code == 200
            assert server.post("/addPost", json={"text": "new"}, headers=headers).json()["postID"] > restored[-1]
