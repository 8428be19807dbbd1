"""tflock resolves Terraform state-lock incidents with proof, in the Slack channel where they happen.

Where to read, from the ground up:

errors.py    the error tree
core/        the words and the decisions, pure. At the ground: CI systems, lock, `Who`, run, evidence, people, hours,
             policy, phrases, instants, AWS's error codes, near words, remedies.
             Above it, in this order:
               joblog/   what a job's log proves of a lock: the reader, and what it says
               gate/     who holds the lock, is that process dead, may it be released: `decide.py` is one screen
               record/   an incident and its timeline: the chain, the facts of each kind, edits, redaction
               account/  what is made of a timeline: the story, its summary, key moments, follow-ups
               reports/  what people are shown, as values
               explain/  a pasted Terraform error
ports/       what the use cases need from outside, as small protocols
usecases/    what a person asks for and what the bot does on its own:
               decide/ looks and weighs the evidence; request/ keeps what people asked for until it is done, takes
               their clicks and asks a second person; unlock/ and kill/ ask, wait and act; owner/ writes to the owner;
               look/ answers status, who and the home tab; record/ keeps the incident; queue/ calls those who wait;
               export/ writes and delivers the record, files follow-ups; watch/ looks at all states, alerts,
               and releases what nobody has to ask for;
               outbox.py sends each thing exactly once, lease.py has one worker at a time
http/ aws/   one client each, with one table from what a system says to our errors
hcp/         the API of HCP Terraform, which is both a backend and a CI system
backends/ ci/ store/ tickets/ slack/ export/
             the adapters, which never import each other. A CI system is one package in ci/, a backend one in backends/
             ci/frame.py makes a run source of any CI system, tickets/frame.py a tracker of any ticket system
slack/render/  values into messages, pure
config/      the file and the environment: a section is the setting
worker.py    the durable jobs, one table
handlers/    (beside this package) Slack's listeners: words and clicks in, use cases out, one boundary around all
sandbox/     what `make demo` plays: a local Slack, GitHub and AWS. Of the bot it knows a few words of the core,
             and what starts Redis
app/         the composition root: wiring, HTTP, what a running bot keeps up
cli/ doctor/ what the command line answers; __main__.py has the commands' signatures

tests/worlds/ (not shipped) has the stand-ins and in-memory worlds that only tests play.

Where something new goes:

a CI system      its row in core/systems.py; tests/ci/test_every_system.py then names what it lacks: a package in ci/
                 (ci/frame.py says what it gives), its section in config/models.py, its maker in app/adapters.py, its
                 forms of `Who` in core/who.py, its variables in cli/claim.py, a page in docs/ci; and
                 tests/contracts/test_run_source.py asks for a world to play it in
a lock backend   a package in backends/, which nothing else names: its keys (section.py) and how it is made (kind.py);
                 backends/frame.py says what it gives. Its world is a `world.py` in a folder of tests/backends
                 (worlds.py there says what it gives), in which the contract suite plays it, and a real Terraform, also
                 by way of Slack. It has a page in docs/backends
a ticket system  a module in tickets/ (tickets/frame.py says what it gives), its section, its maker in app/adapters.py
a rule           a function in core/gate/rules.py, its name in core/gate/case.py, its row in core/gate/decide.py; then
                 an oracle for it in tests/core/gate/test_properties.py
a command, a button, a dialog, a shortcut
                 handlers/__init__.py says which table gets the row
a durable job    a function in a use case, its row in worker.py
a timeline kind  its name in core/record/timeline.py, its facts in core/record/facts.py, its row in
                 core/record/kinds.py; tests/core/record/test_kinds.py names what it lacks; docs/timeline.md
an export format a function of a `Material` and a path in export/, its row in export/exporter.py
a check          a module in doctor/, its row in doctor/examine.py

Imports point one way, and import-linter holds it (pyproject.toml):
__main__ -> cli, doctor -> app -> worker, handlers, sandbox -> usecases, slack.render -> ports -> core -> errors.
"""
