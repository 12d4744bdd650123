import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: raises a Galera cluster; needs Debian's packages of it")
