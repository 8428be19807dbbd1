"""tflock resolves Terraform state-lock incidents with proof, in the Slack channel where they happen.

Where to read:

core/        the words and the decisions, pure: a lock, a run, the gate (`gate.py`, `rules.py`), who holds the lock
             (`attribution.py`), the timeline's chain. Start here.
ports.py     what the use cases need from the world, as small protocols
usecases/    one module per thing that a person asks for: `unlock.py` asks and confirms, `release.py` releases
backends/    where locks stand; ci/ where runs run; store/ where timelines live; slack/ how it is said; export/
handlers/    (beside this package) Slack's listeners: words and clicks in, use cases out, one boundary around all
worker.py    the durable jobs
app.py       the composition root; __main__.py the command line, reading.py and doctor.py what it answers by itself
sandbox/     a local Slack, CI and AWS, to try and to test the real bot without accounts

Imports point one way: __main__ -> app -> handlers -> usecases and slack.render -> ports -> core -> errors.
"""
