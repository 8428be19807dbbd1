"""How `policy --format` prints."""

from __future__ import annotations

from enum import StrEnum


class PolicyForm(StrEnum):
    """`JSON` is one document, `TERRAFORM` resources to put into a module."""

    TEXT = "text"
    JSON = "json"
    TERRAFORM = "terraform"
