"""The service on a real cluster: `pytest -m cluster`. Raised once, in about 12 seconds, if the packages are there."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple, Self

import httpx2
import pytest

from extras import cluster

needs = "Linux" if sys.platform != "linux" else cluster.missing()
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(needs), reason=f"needs {needs}")]

CLIENTS = 12
POSTS_EACH = 100
KEYS = 50


@pytest.fixture(scope="module")
def raised() -> Iterator[cluster.Cluster]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EXTRAS", "+idempotency")
        with cluster.raised() as raised:
            yield raised


@pytest.fixture
def posts(raised: cluster.Cluster) -> cluster.Cluster:
    """The cluster, recovered from the test before."""
    cluster.wait_for("the nodes", lambda: all(node.is_synced for node in raised.nodes), 60)
    cluster.wait_for("the services", lambda: all(map(cluster.has_database, [raised.url, *raised.services])), 30)
    return raised


def sign_up(url: str) -> dict[str, str]:
    """The headers of a new account."""
    credentials = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse"}
    answer = httpx2.post(f"{url}/signup", json=credentials, timeout=30)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def ids(client: httpx2.Client) -> list[int]:
    answer = client.get("/getPosts")
    assert answer.status_code == 200, answer.text
    return [post["postID"] for post in answer.json()]


def test_a_write_through_one_node_is_in_the_next_list_through_the_other(posts: cluster.Cluster) -> None:
    headers = sign_up(posts.services[0])
    clients = [httpx2.Client(base_url=url, headers=headers) for url in posts.services]
    expected: list[int] = []
    for writer, reader in itertools.islice(itertools.cycle(itertools.permutations(clients)), 60):
        expected.insert(0, writer.post("/addPost", json={"text": "hi"}).json()["postID"])
        assert ids(reader) == expected  # newest first, though each node draws its ids from a sequence of its own
    for deleter, reader in itertools.islice(itertools.cycle(itertools.permutations(clients)), 60):
        assert deleter.delete(f"/deletePost/{expected.pop(0)}").status_code == 204
        assert ids(reader) == expected


def test_a_list_waits_for_a_node_that_is_behind(posts: cluster.Cluster) -> None:
    headers = sign_up(posts.services[0])
    writer, reader = (httpx2.Client(base_url=url, headers=headers, timeout=30) for url in posts.services)
    assert ids(reader) == []
    with posts.nodes[1].connect() as connection:
        connection.cursor().execute("FLUSH TABLES WITH READ LOCK")  # it applies nothing
        post_id = writer.post("/addPost", json={"text": "hi"}).json()["postID"]
        unlock = threading.Timer(0.5, connection.cursor().execute, ["UNLOCK TABLES"])
        unlock.start()
        assert ids(reader) == [post_id]
        unlock.join()


def conflicts(posts: cluster.Cluster) -> int:
    names = "('wsrep_local_bf_aborts', 'wsrep_local_cert_failures')"
    rows = [row for node in posts.nodes for row in node.query(f"SHOW STATUS WHERE Variable_name IN {names}")]
    return sum(int(value) for _, value in rows)


def test_an_account_written_through_both_nodes_at_once_loses_nothing(posts: cluster.Cluster) -> None:
    headers = sign_up(posts.url)

    def add_posts(url: str) -> list[tuple[int, int]]:
        with httpx2.Client(base_url=url, headers=headers, timeout=30) as client:
            answers = [client.post("/addPost", json={"text": "hi"}) for _ in range(POSTS_EACH)]
        return [(answer.status_code, answer.json().get("postID")) for answer in answers]

    before = conflicts(posts)
    with ThreadPoolExecutor(CLIENTS) as pool:
        urls = itertools.islice(itertools.cycle(posts.services), CLIENTS)
        answers = [answer for answers in pool.map(add_posts, urls) for answer in answers]
    assert conflicts(posts) > before
    assert Counter(status for status, _ in answers) == {201: CLIENTS * POSTS_EACH}
    for url in posts.services:
        with httpx2.Client(base_url=url, headers=headers) as client:
            assert sorted(ids(client)) == sorted(post_id for _, post_id in answers)


def test_a_key_sent_through_both_nodes_at_once_writes_one_post_whose_id_both_are_told(posts: cluster.Cluster) -> None:
    accounts = [sign_up(posts.url) for _ in range(4)]
    keys = [uuid.uuid4().hex for _ in range(KEYS)]
    pairs = [threading.Barrier(2) for _ in range(CLIENTS // 2)]

    def add_post(client: httpx2.Client, number: int) -> int:
        headers = {**accounts[number % len(accounts)], "Idempotency-Key": keys[number]}
        while True:
            answer = client.post("/addPost", json={"text": keys[number]}, headers=headers)
            if answer.status_code != 503:
                assert answer.status_code == 201, answer.text
                return int(answer.json()["postID"])

    def add_posts(url: str, pair: int) -> dict[int, int]:
        told = {}
        with httpx2.Client(base_url=url, timeout=30) as client:
            for number in range(pair, KEYS, len(pairs)):
                pairs[pair].wait(30)
                told[number] = add_post(client, number)
        return told

    before = conflicts(posts)
    places = itertools.product(posts.services, range(len(pairs)))
    with ThreadPoolExecutor(CLIENTS) as pool:
        told = list(pool.map(lambda place: add_posts(*place), places))
    assert conflicts(posts) > before
    ids = {number: post_id for each in told for number, post_id in each.items()}
    assert all(ids[number] == post_id for each in told for number, post_id in each.items())
    assert sorted(ids) == list(range(KEYS))
    written = posts.nodes[2].query(f"SELECT text, id FROM posts.posts WHERE text IN {tuple(keys)}")
    assert sorted(written) == sorted((keys[number], post_id) for number, post_id in ids.items())
    with httpx2.Client(base_url=posts.url, timeout=30) as client:
        assert {number: add_post(client, number) for number in ids} == ids


class Refusal(NamedTuple):
    time: float
    status: int
    retry_after: str | None


class Client:
    """Adds posts to an account of its own until it is stopped."""

    def __init__(self, url: str) -> None:
        self.url, self.headers = url, sign_up(url)
        self.added: set[int] = set()
        self.refusals: list[Refusal] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        with httpx2.Client(base_url=self.url, headers=self.headers, timeout=30) as client:
            while not self.stop.wait(0.02):
                answer = client.post("/addPost", json={"text": "hi"})
                if answer.status_code == 201:
                    self.added.add(answer.json()["postID"])
                else:
                    refusal = Refusal(time.monotonic(), answer.status_code, answer.headers.get("Retry-After"))
                    self.refusals.append(refusal)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


def kill(*nodes: cluster.Node) -> float:
    """With -9; returns when it was, once all are back in the cluster."""
    pids, killed = {node.address: node.pid for node in nodes}, time.monotonic()
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)

    def are_back() -> bool:
        return all(node.is_synced and node.pid != pids[node.address] for node in nodes)

    cluster.wait_for("the killed nodes", are_back, 60)
    return killed


def last(clients: list[Client], since: float) -> float:
    """Seconds from then to the last refusal, each of which has to be a 503 with Retry-After."""
    refusals = [refusal for client in clients for refusal in client.refusals]
    assert all(status == 503 and retry_after for _, status, retry_after in refusals), refusals
    return max([time - since for time, *_ in refusals], default=0)


def in_posts(node: cluster.Node) -> set[int]:
    return {post_id for (post_id,) in node.query("SELECT id FROM posts.posts")}


def test_a_node_cut_off_from_the_others_is_left_for_them(posts: cluster.Cluster) -> None:
    node = posts.nodes[0]
    with Client(posts.services[0]) as client:
        cluster.wait_for("the first post", lambda: bool(client.added), 10)
        node.query("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")
        cut = time.monotonic()
        try:
            cluster.wait_for("its last word", lambda: not node.is_synced, 10)
            before = len(client.added)
            cluster.wait_for("another node", lambda: len(client.added) > before + 50, 20)
        finally:
            node.query("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
        cluster.wait_for("the node", lambda: node.is_synced, 30)
    assert client.refusals
    assert last([client], cut) <= 10
    assert all(client.added <= in_posts(node) for node in posts.nodes)


def test_a_node_killed_under_load_loses_nothing_and_comes_back(posts: cluster.Cluster) -> None:
    through_proxy = [Client(posts.url) for _ in range(CLIENTS // 2)]
    direct = [Client(url) for url in posts.services for _ in range(CLIENTS // 4)]
    with ExitStack() as running:
        clients = [running.enter_context(client) for client in [*through_proxy, *direct]]
        cluster.wait_for("the first posts", lambda: all(client.added for client in clients), 10)
        killed = kill(posts.nodes[1])
        before = sum(len(client.added) for client in clients)
        cluster.wait_for("more posts", lambda: sum(len(client.added) for client in clients) > before + 50, 10)
    assert last(direct, killed) <= 10
    assert last(through_proxy, killed) <= 5
    added = set().union(*(client.added for client in clients))
    assert all(added <= in_posts(node) for node in posts.nodes)


def test_what_was_acknowledged_outlives_all_nodes_killed_at_once(posts: cluster.Cluster) -> None:
    with Client(posts.url) as client:
        cluster.wait_for("some posts", lambda: len(client.added) > 20, 10)
        killed = kill(*posts.nodes)
        before = len(client.added)
        cluster.wait_for("more posts", lambda: len(client.added) > before, 20)
    assert 0 < last([client], killed) <= 20
    assert all(client.added <= in_posts(node) for node in posts.nodes)


@pytest.mark.parametrize(("begun", "ending"), [("mariadb-install-db", signal.SIGTERM), ("uvicorn", signal.SIGHUP)])
def test_the_command_leaves_no_process_behind_whatever_ends_it(begun: str, ending: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-m", "extras.cluster"], start_new_session=True) as command:
        group = ["pgrep", "-g", str(command.pid)]
        cluster.wait_for(begun, lambda: not subprocess.run([*group, "-f", begun]).returncode, cluster.SECONDS_TO_RISE)
        command.send_signal(ending)
        assert command.wait(90) == 0
    cluster.wait_for("the end of its processes", lambda: subprocess.run(group).returncode == 1, 5)
