import signal
import sys
from contextlib import suppress

from extras import cluster

if sys.argv[1:]:
    sys.exit("python -m extras.cluster: it takes no arguments.")
if packages := cluster.missing():
    sys.exit(f"The cluster needs Debian's packages. Run: apt-get install {packages}")
for number in signal.SIGTERM, signal.SIGHUP:  # as Ctrl-C: else all of it would outlive the terminal
    signal.signal(number, signal.default_int_handler)
print("raising three nodes ...", flush=True)
with suppress(KeyboardInterrupt), cluster.raised() as posts:
    print(f"posts     {posts.url}  (HAProxy)")
    for service in posts.services:
        print(f"service   {service}")
    for node in posts.nodes:
        print(f"node      mariadb -u root -S {node.folder}/mariadbd.sock")
    print("Try `kill -9` on a node's mariadbd. Ctrl-C ends all of it.", flush=True)
    signal.pause()
