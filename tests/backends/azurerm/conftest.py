"""One container behind a fault proxy."""

from __future__ import annotations

import pytest

from tests.backends.azurerm.world import made

azurerm_world = made


@pytest.fixture
def world_param():
    return ("default",)


@pytest.fixture
def azure(azurerm_world):
    return azurerm_world
