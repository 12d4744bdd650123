"""A MariaDB Galera cluster of three nodes on this machine, without containers. A tool to run, no plug-in.

    python -m extras.cluster

raises the nodes, two processes of the service, each on a node of its own, and HAProxy in front of both, in a temporary
folder, and says where they are; Ctrl-C ends it. It needs Linux and Debian's packages `mariadb-server`, `galera-4`,
`rsync` and `haproxy`. Each node has an address of its own (127.0.1.1 to 127.0.1.3), as on machines of their own; a
MariaDB that runs already is left alone. `extras/cluster/README.md` tells the rest.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

HERE = Path(__file__).parent
ADDRESSES = ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
PROGRAMS = {"mariadbd": "mariadb-server", "rsync": "rsync", "haproxy": "haproxy"}
SECONDS_TO_RISE = 90


@dataclass
class Node:
    address: str
    port: int
    folder: Path

    @property
    def pid(self) -> int:
        """Of its MariaDB; another one each time that it was started again."""
        return int((self.folder / "mariadbd.pid").read_text())

    def connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """As root, by the node's own socket."""
        path = str(self.folder / "mariadbd.sock")
        return pymysql.connect(user="root", unix_socket=path, connect_timeout=2, read_timeout=5)

    def query(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """All rows."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    @property
    def is_synced(self) -> bool:
        try:
            return bool(self.query("SHOW STATUS LIKE 'wsrep_local_state_comment'")[0][1] == "Synced")
        except pymysql.MySQLError:
            return False


@dataclass
class Cluster:
    url: str  # HAProxy's, for clients
    services: list[str]  # each one's own URL
    nodes: list[Node]


def missing() -> str:
    """Debian's packages that have to be installed first."""
    packages = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=search_path())]
    return " ".join(packages + ["galera-4"] * (not PROVIDER.exists()))


def search_path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def free_ports(count: int) -> list[int]:
    """Ports that are free on every address."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def wait_for(what: str, condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def has_database(url: str) -> bool:
    """Whether a service looks tokens up: then it refuses this one."""
    request = urllib.request.Request(f"{url}/getPosts", headers={"Authorization": "Bearer check"})  # noqa: S310
    try:
        urllib.request.urlopen(request, timeout=2)  # noqa: S310
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return False


@contextmanager
def running(log: Path, *command: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process, until the block ends; its output goes to the file."""
    variables = {**os.environ, "PATH": search_path(), **environment}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=HERE.parents[1], env=variables, stdout=output, stderr=output)  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def raised() -> Iterator[Cluster]:
    """The cluster, once every node is synced and both services answer; it is gone when the block ends."""
    port, galera, ist, *sst, posts, one, two, nodes_of_one, nodes_of_two = free_ports(11)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="posts-cluster-")))
        folder.chmod(0o755)  # for `mysql`, as which the nodes of root run
        nodes = [Node(address, port, folder / address) for address in ADDRESSES]
        for node, sst_port in zip(nodes, sst, strict=True):
            environment = {
                "ADDRESS": node.address,
                "PEERS": ",".join(ADDRESSES),
                "PORTS": f"{port} {galera} {ist} {sst_port}",
                "DATA": str(node.folder),
            }
            stack.enter_context(running(folder / f"{node.address}.log", str(HERE / "node"), **environment))
        wait_for("the nodes", lambda: all(node.is_synced for node in nodes), SECONDS_TO_RISE)
        services = [f"http://127.0.0.1:{one}", f"http://127.0.0.1:{two}"]
        addresses = {
            "POSTS": f"127.0.0.1:{posts}",
            "SERVICE_ONE": f"127.0.0.1:{one}",
            "SERVICE_TWO": f"127.0.0.1:{two}",
            "NODES_OF_ONE": f"127.0.0.1:{nodes_of_one}",
            "NODES_OF_TWO": f"127.0.0.1:{nodes_of_two}",
            **{f"NODE_{n}": f"{node.address}:{port}" for n, node in zip(("ONE", "TWO", "THREE"), nodes, strict=True)},
        }
        proxy = ["haproxy", "-db", "-f", str(HERE / "haproxy.cfg")]
        stack.enter_context(running(folder / "haproxy.log", *proxy, **addresses))
        wait_for("HAProxy", lambda: not socket.socket().connect_ex(("127.0.0.1", nodes_of_two)), 10)
        for own, database in (one, nodes_of_one), (two, nodes_of_two):
            command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(own), "--no-access-log"]
            url = f"mysql://posts:posts@127.0.0.1:{database}/posts"
            stack.enter_context(running(folder / f"service-{own}.log", *command, DATABASE_URL=url))
        cluster = Cluster(f"http://127.0.0.1:{posts}", services, nodes)
        wait_for("the services", lambda: all(map(has_database, [cluster.url, *services])), 30)
        yield cluster
