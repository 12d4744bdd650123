"""pytest imports the package that a test's file is in, under its bare name. That of an extra is not to be run here:

it opens the database that the tests have yet to make, it may need packages that are not installed, and `limits` is also
the name of a library. So a package without a content stands for each. The tests run the extras in servers.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from test_app import Server, new_database

for file in Path(__file__).parent.glob("*/__init__.py"):
    package = ModuleType(file.parent.name)
    package.__path__ = [str(file.parent)]
    sys.modules.setdefault(package.__name__, package)
# The decorator that aiosmtpd, with which `mail` is tested, takes from a library of the same name as an extra.
vars(sys.modules["public"]).setdefault("public", lambda decorated: decorated)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with new_database() as url:
        yield url


@pytest.fixture
def ada(server: Server) -> dict[str, str]:
    return server.account()


@pytest.fixture
def bob(server: Server) -> dict[str, str]:
    return server.account()
