"""What a bot wrote down of the states that patterns mean, read by commands that ask no store. Light to import."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bot.config.settings import Config, StateSettings
from bot.store.connect import connect
from bot.store.embedded import attached_url
from bot.store.redis_records import RedisRecords

KIND: Final = "discovered"
"""The kind of the records by pattern: `listed_as` has all that is listed, `named` what is known by its name."""

VAR: Final = Path("var")
"""Where the embedded Redis lives, below the working directory."""


async def redis_of_a_bot(config: Config) -> str:
    """The address of the configured Redis, or of the embedded one that someone runs here, if anyone does."""
    return config.redis_url.get_secret_value() if config.redis_url else await asyncio.to_thread(attached_url, VAR)


async def found_before(config: Config) -> Mapping[str, StateSettings]:
    """The states that a bot last found for the configuration's patterns, by name: what Redis says, and no store.

    Raises JournalAway, ConfigInvalid.
    """
    client = connect(await redis_of_a_bot(config))
    try:
        records = RedisRecords(client, rng=random.SystemRandom())
        found = await records.get_all(KIND, tuple(pattern.template.name for pattern in config.patterns))
    finally:
        await client.aclose()
    named = ((pattern, found.get(pattern.template.name, {}).get("named", [])) for pattern in config.patterns)
    states = (pattern.state(address) for pattern, addresses in named for address in addresses)
    return {state.name: state for state in states if state is not None}
