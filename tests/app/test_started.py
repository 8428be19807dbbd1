"""What a process does once it has started."""

from __future__ import annotations

import subprocess
import sys

CIRCLES = """
import gc, weakref
import bot.__main__
from bot.app import run

class Circle:
    def __init__(self):
        self.itself = self

run._started()
seen = weakref.WeakSet()
for _ in range(100_000):
    seen.add(Circle())
print(len(seen), gc.get_freeze_count() > 10_000)
"""


def test_what_goes_in_circles_is_found_before_there_is_much_of_it():
    told = subprocess.run([sys.executable, "-c", CIRCLES], capture_output=True, text=True, check=True).stdout.split()

    assert int(told[0]) < 3_000
    assert told[1] == "True"
