"""How fast the service is, next to what its framework can do on the same machine. A tool to run, no plug-in.

    python -m extras.bench                              the table of getPosts and addPost, on SQLite
    python -m extras.bench --database-url mysql://root@127.0.0.1/
    python -m extras.bench --plot bench.svg             throughput and p99 over 1 to 512 connections
    python -m extras.bench --metrics --keys --miss --growth --large --storms --workers
    python -m extras.bench --short                      all of them in a minute or two, for CI; only shows that they run

Run it at the top folder; it needs `wrk` (Debian's package). Each trial makes databases of its own and drops them; of
a MySQL URL only the server counts. `--json` prints one JSON object instead of tables. No figure makes it fail.

- **speed**: one worker, 16 connections, 16 accounts with ten posts of 200 characters, with the extra `fast` and
  without any. The floor is a bare `async` route under the same uvicorn that answers with the same bytes; the bare sync
  route is the same with `def`. The servers share one core, wrk has another; all take turns; the table shows medians.
- **metrics**: getPosts from the cache with the extra `metrics` besides `fast` and without, taking turns like `speed`.
- **keys**: addPost with a new key of `idempotency` in each request and without one, on one server, taking turns.
- **miss**: building a list of 10,000 posts of 200 bytes, over a raw driver SELECT and `json.dumps`.
- **growth**: each request's time with 1,000,000 posts of 10,000 other accounts in the tables, over that without,
  taking turns on two databases.
- **large**: four clients read an account of 1,000 posts of 1 MB slowly, in about a minute, and others use the service.
- **storms**: 50 logins at once among readers; 1,000 idle and 300 active keep-alive connections.
- **workers**: two against one, not pinned, as client, database and workers share the cores.

Only on Linux are processes pinned to cores and is their memory read.
"""

import os

os.environ["DATABASE_URL"] = "sqlite://"  # for `models`, until a trial has a database of its own
