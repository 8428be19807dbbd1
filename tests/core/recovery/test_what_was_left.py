"""What a dead run left behind, against a model that knows: a world of objects, an apply that is killed, its last state.

The model has objects in a world, not lines. It prints what Terraform prints, as people and as `-json` read it, saves
its state now and then, and dies at any step. Who is right about an object is decided by the world and by the state's
own list of ids.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backends.contents import read_contents
from bot.core.joblog.reader import LogReader
from bot.core.joblog.values import JobChanges
from bot.core.recovery.compare import compare
from bot.core.recovery.held import held

START = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)
CREATED = START + timedelta(seconds=1)
PATH = "acme-tfstate/staging.tfstate"
SKEW = timedelta(seconds=60)
ADDRESSES = (
    "aws_instance.web",
    'aws_instance.each["a b"]',
    'aws_instance.each["x.y]\\"z"]',
    "aws_instance.count[0]",
    'module.net["eu"].aws_subnet.a',
    "module.net[1].module.inner.aws_subnet.a[2]",
    "aws_s3_bucket.logs",
    "google_compute_instance.vm",
)


@dataclass
class Terraform:
    """An apply in a world that lives on after it. `named` types have one id for ever, as buckets have."""

    as_json: bool
    world: dict[str, str] = field(default_factory=dict)
    memory: dict[tuple[str, str], str] = field(default_factory=dict)
    state: dict[tuple[str, str], str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    clock: int = 0
    ids: int = 0
    made: dict[str, str] = field(default_factory=dict)
    destroyed: set[tuple[str, str]] = field(default_factory=set)
    begun: dict[tuple[str, str], str] = field(default_factory=dict)

    def new_id(self, address):
        self.ids += 1
        return "acme-logs" if "bucket" in address else f"i-{self.ids:04d}"

    def says(self, address, kind, action, name="", key="id"):
        self.clock += 1
        at = (CREATED + timedelta(seconds=self.clock)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        if self.as_json:
            plain, _, _ = address.partition(" (deposed")
            hook = {
                "resource": {"addr": plain},
                "action": action,
                **({"id_key": key, "id_value": name} if name else {}),
            }
            self.lines.append(json.dumps({"@level": "info", "@timestamp": at, "type": kind, "hook": hook}))
            return
        called = f" [{key}={name}]" if name else ""
        verbs = {"create": ("Creating", "Creation"), "update": ("Modifying", "Modifications"),
                 "delete": ("Destroying", "Destruction")}[action]  # fmt: skip
        words = f"{verbs[0]}...{called}" if kind == "apply_start" else f"{verbs[1]} complete after 1s{called}"
        self.lines.append(f"{at} {address}: {words}")

    def refresh(self):
        for (address, _), name in self.memory.items():
            self.clock += 1
            at = (CREATED + timedelta(seconds=self.clock)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
            if self.as_json:
                hook = {"resource": {"addr": address}, "id_key": "id", "id_value": name}
                self.lines.append(
                    json.dumps({"@timestamp": at, "@level": "info", "type": "refresh_start", "hook": hook})
                )
            else:
                self.lines.append(f"{at} {address}: Refreshing state... [id={name}]")

    def steps(self, address, how):
        """The instants of one change, as a list of functions; the process may die before any of them."""
        if how == "create":
            return self._create(address)
        if how == "update":
            return self._update(address)
        if how == "delete":
            return self._delete(address)
        if how == "replace":
            return [*self._delete(address), *self._create(address)]
        return [lambda: self._depose(address), *self._create(address), *self._delete(address, deposed="0a1b2c3d")]

    def _depose(self, address):
        self.memory[address, "0a1b2c3d"] = self.memory.pop((address, ""))

    def _create(self, address):
        name = []

        def make():
            name.append(self.new_id(address))
            self.world[name[0]] = address

        def told():
            self.memory[address, ""] = name[0]
            self.begun.pop((address, ""))
            self.made[name[0]] = address
            self.says(address, "apply_complete", "create", name[0])

        def begin():
            self.begun[address, ""] = "create"
            self.says(address, "apply_start", "create")

        return [begin, make, told]

    def _update(self, address):
        def begin():
            self.begun[address, ""] = "update"
            self.says(address, "apply_start", "update", self.memory[address, ""])

        def told():
            self.begun.pop((address, ""))
            self.says(address, "apply_complete", "update", self.memory[address, ""])

        return [begin, told]

    def _delete(self, address, deposed=""):
        shown = f"{address} (deposed object {deposed})" if deposed else address

        def begin():
            self.begun[address, deposed] = "delete"
            self.says(shown, "apply_start", "delete", self.memory[address, deposed])

        def unmake():
            self.world.pop(self.memory[address, deposed], None)

        def told():
            name = self.memory.pop((address, deposed))
            self.begun.pop((address, deposed))
            self.destroyed.add((shown if not self.as_json else address, name))
            self.made.pop(name, None)
            self.says(shown, "apply_complete", "delete")

        return [begin, unmake, told]

    def save(self):
        self.state = dict(self.memory)

    def stored(self):
        return read_contents([json.dumps(state_of(self.state)).encode()])


def state_of(objects):
    """A state file with these objects, as Terraform writes it."""
    resources = []
    for (address, deposed), name in objects.items():
        module, kind, label, key = PARTED[address]
        instance = {"schema_version": 1, "attributes": {"id": name, "secret": "s3cr3t"}}
        if key is not None:
            instance = {"index_key": key, **instance}
        if deposed:
            instance["deposed"] = deposed
        resources.append({"mode": "managed", "type": kind, "name": label, "provider": "p", "instances": [instance],
                          **({"module": module} if module else {})})  # fmt: skip
    return {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": 7,
        "lineage": "l",
        "outputs": {},
        "resources": resources,
    }


PARTED = {
    "aws_instance.web": ("", "aws_instance", "web", None),
    'aws_instance.each["a b"]': ("", "aws_instance", "each", "a b"),
    'aws_instance.each["x.y]\\"z"]': ("", "aws_instance", "each", 'x.y]"z'),
    "aws_instance.count[0]": ("", "aws_instance", "count", 0),
    'module.net["eu"].aws_subnet.a': ('module.net["eu"]', "aws_subnet", "a", None),
    "module.net[1].module.inner.aws_subnet.a[2]": ("module.net[1].module.inner", "aws_subnet", "a", 2),
    "aws_s3_bucket.logs": ("", "aws_s3_bucket", "logs", None),
    "google_compute_instance.vm": ("", "google_compute_instance", "vm", None),
}


@st.composite
def killed_applies(draw):
    """An apply over some objects that were there before, killed at a step, with its state saved now and then."""
    terraform = Terraform(as_json=draw(st.booleans()))
    for address in draw(st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=6)):
        name = terraform.new_id(address)
        terraform.world[name] = address
        terraform.memory[address, ""] = name
    terraform.save()
    if draw(st.booleans()):
        terraform.refresh()
    there = [address for address, _ in terraform.memory]
    plan = [(address, draw(st.sampled_from(["update", "delete", "replace", "before"]))) for address in there]
    plan += [(address, "create") for address in ADDRESSES if address not in there]
    chosen = draw(st.lists(st.sampled_from(plan), unique_by=lambda one: one[0], min_size=1, max_size=6))
    under_way = [terraform.steps(address, how) for address, how in chosen]
    alive = draw(st.integers(0, 40))
    while under_way and alive:
        alive -= 1
        steps = under_way[draw(st.integers(0, len(under_way) - 1))]
        steps.pop(0)()
        if not steps:
            under_way.remove(steps)
        if draw(st.integers(0, 4)) == 0:
            terraform.save()
    if not under_way:
        terraform.save()
    return terraform


def bare(shown):
    return shown.partition(" (deposed")[0]


def difference_of(terraform):
    reader = LogReader(with_changes=True)
    reader.feed("\n".join(terraform.lines).encode())
    log = reader.close(is_whole=True, is_read=True)
    job = JobChanges(reader.commands(), is_read=True, is_over=True, has_several=log.has_several)
    found = held(job, PATH, CREATED)
    if found.command is None:
        assert not terraform.made, found.why
        assert not terraform.begun, found.why
        return None
    return compare(found.command.changes, terraform.stored(), written=None, skew=SKEW)


@given(killed_applies())
@settings(max_examples=400, deadline=None)
def test_what_the_log_and_the_state_say_is_what_the_world_has(terraform):
    difference = difference_of(terraform)
    if difference is None:
        return
    recorded = set(terraform.state.values())

    # nothing that the state has is called not recorded, and nothing that was made and is not there is left out
    made = {(one.address, one.id) for one in difference.made}
    assert made == {(address, name) for name, address in terraform.made.items() if name not in recorded}
    # what is said to be destroyed was destroyed, and is still in the state; and nothing like it is left out
    destroyed = {bare(one) for one in difference.destroyed}
    assert destroyed <= {bare(shown) for shown, name in terraform.destroyed if name in recorded}
    assert {bare(one) for one, name in terraform.destroyed if name in recorded - terraform.world.keys()} <= destroyed
    # of what had begun and not ended, nothing is passed over
    unsure = {(bare(one.address), str(one.action)) for one in difference.unsure}
    for (address, deposed), action in terraform.begun.items():
        settled = action == "delete" and terraform.state.get((address, deposed)) is None
        assert settled or (address, action) in unsure, (address, action)


@given(killed_applies())
@settings(max_examples=100, deadline=None)
def test_no_id_and_no_value_of_a_state_comes_out_that_the_log_did_not_say(terraform):
    difference = difference_of(terraform)

    assert "s3cr3t" not in repr(difference)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_block_for_what_was_made_can_be_imported(as_json):
    terraform = Terraform(as_json)
    for step in terraform.steps('aws_instance.each["x.y]\\"z"]', "create"):
        step()

    (made,) = difference_of(terraform).made

    assert made.block == 'import {\n  to = aws_instance.each["x.y]\\"z"]\n  id = "i-0001"\n}'
    terraform.save()
    assert difference_of(terraform).recorded == ('aws_instance.each["x.y]\\"z"]',)


@pytest.mark.parametrize(
    "shown",
    [
        ("  + user_data = <<-EOT", "        {}", "    EOT"),
        (
            "│ Error: local-exec provisioner error",
            "│ ",
            "│ Error running command: exit status 1. Output: ",
            "│ {}",
            "╵",
        ),
        ("Changes to Outputs:", "  + log = <<-EOT", "        {}", "    EOT"),
    ],
    ids=["a plan's heredoc", "the output of a failed provisioner", "an output's heredoc"],
)
def test_what_terraform_only_shows_was_not_made(shown):
    other = "aws_instance.other: Creation complete after 3s [id=i-9999]"
    own = ("aws_instance.web: Creating...", "aws_instance.web: Creation complete after 3s [id=i-0001]")

    def made(*lines):
        reader = LogReader(with_changes=True)
        for number, line in enumerate(lines):
            at = (CREATED + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
            reader.line(f"{at} {line}")
        log = reader.close(is_whole=True)
        command = held(JobChanges(reader.commands(), log.is_read, is_over=True), PATH, CREATED).command
        found = compare(command.changes, read_contents([json.dumps(state_of({})).encode()]), written=None, skew=SKEW)
        return [one.address for one in found.made]

    assert made(*own, *(line.format(other) for line in shown)) == ["aws_instance.web"]
    assert made(*own, other) == ["aws_instance.web", "aws_instance.other"]
