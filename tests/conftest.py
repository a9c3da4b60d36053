"""What every test folder shares: fixtures that are costly to make, and the long proofs left to `make soak`."""

import pytest

from tests.parts.wheel import wheel

__all__ = ["wheel"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: a proof of minutes or hours, run by `make soak` alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long proofs out unless -m asks for something by itself."""
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
