"""tflock resolves Terraform state-lock incidents with proof, in the Slack channel where they happen.

Where to read:

core/        the words and the decisions, pure: a lock, a run, the gate (`gate.py`, `rules.py`), who holds the lock
             (`attribution.py`), whose it is (`ownership.py`), the timeline's chain (`timeline.py`), and what is made of
             it: the account of an incident (`story.py`, `account.py`), its summary, key moments and follow-ups. Start
             here.
ports.py     what the use cases need from the world, as small protocols
usecases/    one module per thing that a person asks for: `unlock.py` asks and confirms, `release.py` releases,
             `whois.py` finds the owner, `letters.py` writes to him; and per thing that the bot does by itself:
             `sweep.py` looks at all states, `alerts.py` tells, `calling.py` calls those who wait, `export.py` exports
backends/    where locks stand; ci/ where runs run; store/ where timelines live; tickets/ where follow-ups are filed
slack/       how it is said: render/ makes values into messages, and is pure
export/      an incident as Markdown, HTML, JSON, CSV and a chart, all from one `Material`
handlers/    (beside this package) Slack's listeners: words and clicks in, use cases out, one boundary around all
worker.py    the durable jobs
app.py       the composition root; __main__.py the command line, reading.py and doctor.py what it answers by itself
sandbox/     a local Slack, CI, AWS and ticket systems, to try and to test the real bot without accounts

Imports point one way: __main__ -> app -> handlers -> usecases and slack.render -> ports -> core -> errors.
"""
