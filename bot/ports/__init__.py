"""What the use cases need from outside, as small protocols. Adapters implement them; only `bot.app` knows which.

Adapters answer a *question* with an observation (`bot.core.evidence`) and never raise for anything that the other
system did. They raise `bot.errors` only where the docstring says so. Every call has a time-out of its own.
"""
