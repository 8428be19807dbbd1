"""Worlds for the use cases: on paper (`bot.sandbox.memory_world`), and of real servers (`World`)."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def _quiet():
    """A thousand worlds log a lot."""
    with structlog.testing.capture_logs():
        yield
