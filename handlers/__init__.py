"""Slack's listeners: words and clicks in, use cases out, one boundary around all.

Where a new one goes. A handler is a function `(world, what, asker)` that returns its outcome for the metrics, or raises
for `boundary.py`; `listeners.py` reads the tables and needs no change.

- a command: its value in `typed/values.py`, its row in `FORMS` (`typed/grammar.py`), a function, its row in `COMMANDS`
  (`commands.py`)
- a button, or a choice from a menu: a function, and its row in `CLICKS` (`clicks.py`)
- a dialog that is sent: how it is read, a function, and their row in `DIALOGS` (`dialogs.py`)
- a shortcut: a function, and its row in `SHORTCUTS` (`delivery.py`)
"""
