"""`init --live`: what stores list, what they let be read, and who wrote it."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import google.auth
import pytest
from google.auth.exceptions import DefaultCredentialsError
from moto.s3.models import s3_backends

from bot.backends.s3.rights import grants
from bot.cli.init.command import _written, gathered, init
from bot.cli.init.join import Gathered, State
from bot.cli.init.keys import Keys
from bot.cli.init.live.result import look
from bot.cli.init.tree import Place, opened
from bot.cli.init.uses import Seen, Use
from bot.cli.policy import iam_policy
from bot.config.load import load
from bot.sandbox.machine.aws import CREDENTIALS, REGION
from bot.sandbox.machine.proxy import fault_proxy
from tests.backends.worlds import each_but
from tests.contracts.conftest import TABLES, rows
from tests.contracts.test_rights import allows, demands
from tests.worlds.calls import Calls, calls_made
from tests.worlds.ci.github import FullGitHub
from tests.worlds.proxy import Deny, Throttle

DOCS = Path(__file__).parents[3] / "docs" / "init.md"
TOKEN = "ghp-distinctive-4711"
ENVIRON = {**CREDENTIALS, "GITHUB_TOKEN": TOKEN}
NOW = datetime.now(UTC).replace(microsecond=0)
STAGING, BILLING = "environments/staging/terraform.tfstate", "environments/billing/terraform.tfstate"
SERVICES = [f"services/{name}/prod.tfstate" for name in ("cart", "mail", "search", "shop", "users")]
ROOT, ENDPOINT = "environments/staging/backend.tf", r'"(http://[^"]+)"'
TELLING = "written while it ran (less than 1 % of the time)"

CHECKOUT = """
remote: git@github.com:acme/infra.git
-- environments/staging/backend.tf --
terraform {
  backend "s3" {
    bucket         = "BUCKET"
    key            = "environments/staging/terraform.tfstate"
    region         = "REGION"
    dynamodb_table = "TABLE"
    endpoints      = { s3 = "ENDPOINT" }
  }
}
-- .github/workflows/staging.yml --
on: push
jobs:
  apply:
    runs-on: ubuntu-latest
    steps:
      - run: terraform -chdir=environments/staging apply -auto-approve
-- .github/workflows/nightly.yml --
on: {schedule: [{cron: "0 3 * * *"}]}
jobs:
  apply:
    runs-on: ubuntu-latest
    steps:
      - run: terraform -chdir=infra/billing apply -auto-approve
"""
OPEN = """
-- live/backend.tf --
terraform {
  backend "s3" {
    bucket         = "BUCKET"
    region         = "REGION"
    dynamodb_table = "TABLE"
    endpoints      = { s3 = "ENDPOINT" }
  }
}
-- .github/workflows/live.yml --
on: {workflow_dispatch: {inputs: {env: {type: string}}}}
jobs:
  apply:
    runs-on: ubuntu-latest
    steps:
      - run: terraform init -backend-config=key=live/${{ inputs.env }}/network.tfstate
        working-directory: live
      - run: terraform apply -auto-approve
        working-directory: live
"""


@pytest.fixture
async def proxy(own_aws):
    async with fault_proxy(own_aws.endpoint) as proxy:
        yield proxy


@pytest.fixture
async def github():
    async with FullGitHub(token=TOKEN) as github:
        for workflow in ("staging.yml", "nightly.yml"):
            github.runs.add_workflow("acme/infra", workflow)
        yield github


@pytest.fixture
def checkout(laid_out, own_aws, proxy):
    def checkout(text):
        text = text.replace("BUCKET", own_aws.bucket).replace("TABLE", own_aws.table)
        return laid_out(text.replace("REGION", REGION).replace("ENDPOINT", proxy.url))

    return checkout


async def looked(found, *, before=None, environ=ENVIRON, **ci):
    """The file that `--live` writes of it. `ci` are addresses of CI systems, by their entries."""
    _written(found, {})
    found.sections.update({name: {"base_url": base_url} for name, base_url in ci.items()})
    facts = await look(found, before, environ)
    found.states.sort(key=lambda state: state.name.lower())
    return _written(found, {}, facts).text


def entry(text, name):
    """The lines of one state."""
    return re.search(rf"(?ms)^  {re.escape(name)}:.*?(?=^  \S|\Z)", text)[0]


def dated(aws, key, times):
    """Says when the versions of an object were written, oldest first."""
    versions = s3_backends["123456789012"]["aws"].buckets[aws.bucket].keys.getlist(key)
    assert len(versions) == len(times)
    for version, at in zip(versions, times, strict=True):
        version.last_modified = at.replace(tzinfo=None)


async def nightly(aws, github, key=BILLING, *, apart=timedelta(0)):
    """A state that was written in eight nights, four minutes into a run each time, or so much `apart` from that."""
    nights = [NOW - timedelta(days=days, hours=3) for days in range(8, 0, -1)]
    for at in nights:
        await aws.put_state(key)
        run = github.runs.start_run("acme/infra", "nightly.yml", at=at)
        github.runs.finish(run.id, "success", at=at + timedelta(minutes=9))
    dated(aws, key, [at + timedelta(minutes=4) + apart for at in nights])


async def test_what_a_bucket_lists_becomes_states_with_their_evidence_as_documented(own_aws, github, checkout, proxy):
    folder = checkout(CHECKOUT)
    for key in (STAGING, "services/billing.zip", *SERVICES):
        await own_aws.put_state(key)
    await nightly(own_aws, github)
    found = gathered([opened(folder)])
    assert any("nightly.yml:6: on which state does this run Terraform?" in each for each in found.questions)

    text = await looked(found, github=github.base_url)

    for ours, shown in ((own_aws.bucket, "acme-tfstate"), (own_aws.table, "acme-tf-locks")):
        text = text.replace(ours, shown)
    text = text.replace(f', base_url: "{github.base_url}"', "")
    text = re.sub(r" +endpoint_url: .*\n", "", text)
    (documented,) = re.findall(r"```yaml\n(# Written by.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert text.strip() == documented.strip()


async def test_what_was_written_while_no_run_went_on_suggests_nothing_and_is_asked(own_aws, github, checkout):
    await own_aws.put_state(STAGING)
    await nightly(own_aws, github, apart=timedelta(hours=1))

    text = await looked(gathered([opened(checkout(CHECKOUT))]), github=github.base_url)

    assert entry(text, "billing").endswith("    pipelines: []\n")
    assert "billing: 8 of its last 8 versions were written while no pipeline ran whose runs were seen." in text
    assert "nightly.yml:6: on which state does this run Terraform?" in text


async def test_versions_that_a_suggested_pipeline_does_not_explain_are_asked_about(own_aws, github, checkout):
    await own_aws.put_state(STAGING)
    await nightly(own_aws, github)
    nights = [NOW - timedelta(days=days, hours=2, minutes=56) for days in range(8, 0, -1)]
    by_hand = [NOW - timedelta(days=days, hours=9) for days in (3, 2, 1)]
    for _ in by_hand:
        await own_aws.put_state(BILLING)
    dated(own_aws, BILLING, [*nights[:5], by_hand[0], nights[5], by_hand[1], nights[6], by_hand[2], nights[7]])

    text = await looked(gathered([opened(checkout(CHECKOUT))]), github=github.base_url)

    assert f"guessed: 5 of its last 8 versions were {TELLING}" in entry(text, "billing")
    asked = "3 of its last 8 versions were written while no pipeline ran whose runs were seen. What else runs Terraform"
    assert f"billing: {asked} on it?" in text


async def test_a_pipeline_that_is_sure_is_left_as_it_is(own_aws, github, checkout):
    await nightly(own_aws, github, STAGING)
    text = await looked(gathered([opened(checkout(CHECKOUT))]), github=github.base_url)
    assert TELLING not in text
    assert "{ci: github, repo: acme/infra, workflow: staging.yml}  # .github/workflows/staging.yml:6" in text


async def test_states_whose_names_only_a_run_knows_are_those_that_have_the_form(own_aws, github, checkout):
    for key in ("live/dev/network.tfstate", "live/prod/network.tfstate", "other/dev/network.tfstate"):
        await own_aws.put_state(key)
    found = gathered([opened(checkout("remote: git@github.com:acme/infra.git" + OPEN))])
    assert [bool(state.missing) for state in found.states] == [True]

    text = await looked(found, github=github.base_url)

    assert "live/backend.tf:2" in entry(text, "dev-network")
    assert "# guessed: s3://" in entry(text, "prod-network")
    assert "key: live/prod/network.tfstate" in entry(text, "prod-network")
    assert "workflow: live.yml}  # guessed: on which states it runs is only known when it runs" in text
    assert "live.yml" not in entry(text, "other-dev-network")
    assert not any(state.missing for state in found.states)


async def test_the_right_that_is_missing_is_named_and_the_rest_stays_useful(own_aws, checkout, proxy):
    for key in (STAGING, BILLING):
        await own_aws.put_state(key)
    rules = [proxy.fault(operation, Deny()) for operation in ("dynamodb:GetItem", "s3:GetObject")]
    denied = await looked(gathered([opened(checkout(CHECKOUT))]))
    for rule in rules:
        rule.lift()
    allowed = await looked(gathered([opened(checkout(CHECKOUT))]))

    staging = entry(denied, "staging")
    assert "# checked: the DynamoDB item cannot be read: DynamoDB denies dynamodb:GetItem on table " in staging
    assert "# checked: the state cannot be read: S3 denies s3:GetObject on s3://" in staging
    assert staging.count("; grant ") == staging.count(" in the IAM policy of the bot's role") == 2
    assert "of 0 of 2 states that were tried; the lines with “checked” say what is wrong" in denied
    assert "# checked" not in allowed
    assert "of 2 of 2 states that were tried" in allowed
    assert "key: environments/billing/terraform.tfstate" in entry(denied, "billing")


async def test_a_state_that_is_not_there_is_asked_about(own_aws, checkout):
    text = await looked(gathered([opened(checkout(CHECKOUT))]))
    assert "# checked: there is no state yet: is this the right place?" in entry(text, "staging")


async def test_without_credentials_the_file_is_what_it_was_and_says_why(own_aws, checkout, monkeypatch, tmp_path):
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    await own_aws.put_state(BILLING)

    text = await looked(gathered([opened(checkout(CHECKOUT))]), environ={})

    assert f"# - could not list s3://{own_aws.bucket}: no AWS credentials were found for s3:ListBucket" in text
    assert "no AWS credentials were found for" in entry(text, "staging")
    assert "workflow: staging.yml}" in entry(text, "staging")
    assert "billing:" not in text


async def test_what_keeps_many_states_from_being_read_is_one_line(checkout, monkeypatch, tmp_path):
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    head, mark, block = CHECKOUT.partition("-- .github")[0].partition("-- environments")
    names = ("dev", "qa", "staging", "uat")
    folder = checkout(head + "".join(mark + block.replace("staging", name) for name in names))

    text = await looked(gathered([opened(folder)]), environ={})

    assert text.count("the state cannot be read: no AWS credentials were found") == 1
    assert "# - dev, qa, staging, uat: the state cannot be read: no AWS credentials were found" in text
    assert "# checked" not in text
    said = "the lines above, and those with “checked”, say what is wrong with the others"
    assert f"of 0 of 4 states that were tried; {said}\n" in text


async def test_a_token_that_is_not_set_is_named(own_aws, github, checkout):
    await nightly(own_aws, github)
    text = await looked(gathered([opened(checkout(CHECKOUT))]), environ=dict(CREDENTIALS), github=github.base_url)
    assert "# - GITHUB_TOKEN is not set, so the runs of GitHub Actions were not looked at" in text
    assert entry(text, "billing").endswith("    pipelines: []\n")


async def test_a_system_that_throttles_is_not_asked_again(own_aws, github, checkout):
    await nightly(own_aws, github)
    found = gathered([opened(checkout(CHECKOUT))])
    others = [Seen("github", (("repo", "acme/infra"), ("workflow", f"w{number}.yml"))) for number in range(20)]
    found.uses.extend(Use("x", Place("x.yml"), seen) for seen in others)
    async with fault_proxy(github.base_url.removesuffix("/api/v3")) as between:
        between.fault(lambda call: "/runs" in call.path, Throttle(retry_after=600))
        text = await looked(found, github=between.url)
    assert re.search(r"# - could not see the runs of .* in acme/infra, .* and \d+ more: ", text)
    assert len({passed.call.path for passed in between.log}) <= 8  # as many as are asked at the same time


async def test_where_a_bucket_may_not_be_listed_the_folders_of_its_states_are(own_aws, checkout, proxy):
    await own_aws.put_state(STAGING)
    await own_aws.put_state("environments/staging/dns.tfstate")
    await own_aws.put_state("elsewhere.tfstate")
    proxy.fault("s3:ListObjects", Deny(), times=1)

    text = await looked(gathered([opened(checkout(CHECKOUT))]))

    assert "key: environments/staging/dns.tfstate" in text
    assert "elsewhere" not in text


async def test_a_key_without_the_usual_end_is_a_state_only_if_it_holds_one(own_aws, checkout):
    for key in ("environments/staging/main", "environments/billing/main"):
        await own_aws.put_state(key)
    await own_aws.put_state("environments/notes/main", b"buy milk")
    text = await looked(gathered([opened(checkout(CHECKOUT.replace("staging/terraform.tfstate", "staging/main")))]))
    assert "key: environments/billing/main" in text
    assert "notes" not in text
    assert "what else is there (1) does not look like a state" in text


@pytest.fixture
def run_live(checkout, capsys):
    """The command in a checkout, from its thread: the servers that it asks are on this one's loop."""
    folder = checkout(CHECKOUT)

    async def run_live(file, *, force=False):
        code = await asyncio.to_thread(init, [folder], file, ENVIRON, force=force, live=True)
        shown = capsys.readouterr()
        assert TOKEN not in shown.out + shown.err
        return code, shown.out, shown.err

    return run_live


async def test_a_second_run_is_the_same_and_shows_what_has_come_since_without_writing_it(
    own_aws, github, run_live, checkout, tmp_path
):
    for key in (STAGING, *SERVICES):
        await own_aws.put_state(key)
    await nightly(own_aws, github)
    file = tmp_path / "tflock.yml"
    written = await looked(gathered([opened(checkout(CHECKOUT))]), github=github.base_url)
    file.write_text(written, encoding="utf-8")
    await own_aws.put_state(BILLING)
    dated(own_aws, BILLING, [*(NOW - timedelta(days=days, hours=2, minutes=56) for days in range(8, 0, -1)), NOW])

    same = await run_live(file)
    assert same[0] == 0, same  # the count is another one now: that alone is no difference
    assert file.read_text(encoding="utf-8") == written

    await own_aws.put_state("environments/dns/terraform.tfstate")
    file.write_text(re.sub(r"pipelines:\n      - .*nightly.yml.*", "pipelines: []", written), encoding="utf-8")
    changed = file.read_text(encoding="utf-8")
    code, out, err = await run_live(file)
    assert code == 1
    assert "+      key: environments/dns/terraform.tfstate\n" in out
    assert f"Compared with {file}, by what the entries mean:\n" in out
    assert f"  not in it: dns (listed in s3://{own_aws.bucket})\n" in out
    assert f"  billing has no pipeline acme/infra nightly.yml: 7 of its last 8 versions were {TELLING}\n" in out
    assert "Nothing was changed; --force overwrites it." in err
    assert file.read_text(encoding="utf-8") == changed


async def test_names_and_entries_for_many_of_the_file_that_is_there_are_kept(own_aws, checkout, tmp_path):
    folder = checkout(CHECKOUT)
    for key in (STAGING, BILLING, *SERVICES):
        await own_aws.put_state(key)
    backend = f"backend: {{type: s3, bucket: {own_aws.bucket}, region: {REGION}, dynamodb_table: {own_aws.table}, key: "
    path, end = tmp_path / "tflock.yml", f", endpoint_url: '{re.findall(ENDPOINT, (folder / ROOT).read_text())[0]}'}}"
    lines = {"stage": STAGING, "money": BILLING, '"prod.{service}"': "services/{service}/prod.tfstate"}
    text = "".join(
        f"  {name}:\n    {backend}'{key}'{end}\n" + ("    discover: true\n" if "{" in name else "")
        for name, key in lines.items()
    )
    path.write_text(f"states:\n{text}", encoding="utf-8")

    again = await looked(gathered([opened(folder)]), before=load(path, ENVIRON, need_slack=False))

    assert re.findall(r"(?m)^  (\S+):  #", again.partition("states:")[2]) == ["money", '"prod.{service}"', "stage"]


class Asked(BaseException):
    """No program takes it for an error of the network."""


async def test_without_live_nobody_is_asked(checkout, tmp_path, monkeypatch):
    folder = checkout(CHECKOUT)

    def refused(*_, **__):
        raise Asked

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert await asyncio.to_thread(init, [folder], tmp_path / "one.yml", ENVIRON, force=False) == 0
    with pytest.raises(Asked):
        await asyncio.to_thread(init, [folder], tmp_path / "two.yml", ENVIRON, force=False, live=True)


@pytest.fixture
def world(chosen_world):
    return chosen_world


def environ_of(world):
    if hasattr(world.storage if hasattr(world, "storage") else None, "credentials"):
        user, _, password = world.storage.credentials.partition(":")
        return {"STATE_USER": user, "STATE_PASSWORD": password}
    return {name: secret.get_secret_value() for name, secret in world.new_means().secrets.items()}


def gathered_of(world):
    """As if a checkout had this one state."""
    values = {"type": world.section.type, **world.section.model_dump(exclude_defaults=True)}
    state = State("live", Place("live/backend.tf", 2), Keys(world.section.type, values), name="one")
    sections = {"github": {}, "gitlab": {}, "azure": {"base_url": ""}, "jenkins": {"base_url": ""}, "ecs": {}}
    return Gathered("a checkout", [state], [], sections, [])


@each_but("s3")
async def test_nothing_but_reading_is_sent_also_of_a_state_that_is_locked(world):
    await world.put_state()
    await world.take(world.lock())
    before = await world.everything()
    with calls_made() as made:
        text = await looked(gathered_of(world), environ=environ_of(world))

    only_the_state = " (of 1 only the state was tried: reading the lock takes a try to lock it)"
    is_tried = world.section.type in {"gitlab", "http"}
    assert f"of 1 of 1 states that were tried{only_the_state if is_tried else ''}\n" in text
    assert made.http
    sent = {call for call in made.http if not call.startswith(("GET ", "HEAD "))}
    assert sent <= {"POST /api/graphql"}  # queries: the stand-in refuses a mutation
    assert {passed.call.method for passed in world.proxy.log} <= {"GET", "HEAD", "POST"}
    assert made.without_a_right(tuple(rows(TABLES[f"backends.{world.section.type}"]))) == []
    assert await world.everything() == before


async def test_of_a_bucket_nothing_but_reading_is_asked_and_no_more_than_the_bot_may(
    own_aws, github, checkout, tmp_path
):
    lock = '{"ID": "1-2-3", "Operation": "OperationTypeApply", "Who": "a@b", "Created": "2026-11-21T09:05:00Z"}'
    await own_aws.hold(STAGING, lock, item=True, file=False)
    await own_aws.put_state(STAGING)
    await nightly(own_aws, github)
    with calls_made() as made:
        text = await looked(gathered([opened(checkout(CHECKOUT))]), github=github.base_url)

    assert all(call.startswith("GET ") for call in made.http)
    assert made.http
    verbs = {re.match(r"[A-Z][a-z]+", call.operation)[0] for call in made.aws}
    assert {"List", "Get"} <= verbs <= {"List", "Get", "Head", "Describe", "Batch"}
    (tmp_path / "tflock.yml").write_text(text, encoding="utf-8")
    config = load(tmp_path / "tflock.yml", ENVIRON, need_slack=False)
    policy = iam_policy(grant for state in config.reached for grant in grants(state.backend))
    assert [demand for call in made.aws for demand in demands(call) if not allows(policy, *demand)] == []
    assert Calls(made.http).without_a_right(tuple(rows(TABLES["ci.github"]))) == []


MORE = {
    "gcs": ("gs://{0.section.bucket} lists 2 states", "prefix: other"),
    "azurerm": (
        "container {0.section.container} of {0.section.storage_account} lists 2 states",
        "key: other.tfstate",
    ),
    "gitlab": ("GitLab's project {0.section.project} lists 2 states", "state: other"),
    "hcp": ("organization acme lists 2 states", "workspace: other"),
}


def put_other(world):
    """Another state in the container, as the store names it."""
    match world.section.type:
        case "gcs":
            world.storage.put("other/default.tfstate", b"{}")
        case "azurerm":
            world.storage.put("other.tfstate", b"{}")
        case "gitlab":
            world.storage.put("other", b'{"serial": 1}', 1)
        case "hcp":
            world.hcp.runs.add_workspace("acme", "other")


@each_but("s3", "http")
async def test_what_a_container_lists_and_the_checkout_does_not_have_is_added(world, chosen):
    await world.put_state()
    put_other(world)

    text = await looked(gathered_of(world), environ=environ_of(world))

    said, key = MORE[chosen[0]]
    assert f"# - {said.format(world)}, 1 of them not in the checkout" in text
    assert f"      {key}\n" in entry(text, "other")
    assert "# guessed: found by listing, not in the checkout; what a listing does not tell is as in one" in text


@pytest.mark.parametrize("chosen", [("gitlab", ("path",))])
async def test_gitlab_says_which_project_wrote_a_state(world, chosen, monkeypatch):
    world.storage.put("production", b'{"version": 4, "serial": 4}', 4, "/acme/deploys/-/pipelines/71")
    found = gathered_of(world)

    text = await looked(found, environ=environ_of(world))

    said = "{ci: gitlab, project: acme/deploys}  # guessed: its last version was written by runs of this project"
    assert said in entry(text, "one")
    assert f'gitlab: {{type: gitlab, base_url: "{world.section.base_url}"}}' in text


@pytest.mark.parametrize("chosen", [("hcp", ("run",))])
async def test_hcp_says_whether_runs_of_the_workspace_wrote_a_state(world, chosen):
    for run in ("", "run-one", "run-two"):
        world.hcp.runs.put_state(world.workspace, b'{"version": 4, "serial": 3, "lineage": "b0c5"}', run=run)

    text = await looked(gathered_of(world), environ=environ_of(world))

    said = "{ci: hcp, organization: acme, workspace: network}  # guessed: 2 of its last 3 versions were written by runs"
    assert said in entry(text, "one")
    assert "hcp: {type: hcp, base_url: " in text


async def test_credentials_that_are_not_there_are_not_looked_for_again_for_each_state(monkeypatch):
    asked = []

    def default(**_):
        asked.append(None)
        raise DefaultCredentialsError

    monkeypatch.setattr(google.auth, "default", default)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    keys = [Keys("gcs", {"type": "gcs", "bucket": "acme-state", "prefix": f"p{number}"}) for number in range(64)]
    states = [State("", Place("a.tf", 2), each, name=each.values["prefix"]) for each in keys]
    sections = {"github": {}, "gitlab": {}, "azure": {"base_url": ""}, "jenkins": {"base_url": ""}, "ecs": {}}

    text = await looked(Gathered("a checkout", states, [], sections, []), environ={})

    assert 0 < len(asked) < 10
    assert "of 0 of 64 states that were tried" in text
    assert " and 56 more: the state cannot be read: no credentials for Google Cloud Storage" in text


@pytest.mark.parametrize("chosen", [("gcs", ("default",))])
async def test_a_library_that_is_not_installed_is_named(world, chosen, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.auth", None)
    found = gathered_of(world)
    del found.states[0].keys.values["access_token_env"]
    other = Keys("gcs", {**found.states[0].keys.values, "prefix": "other"})
    found.states.append(State("other", Place("other/backend.tf", 2), other, name="two"))

    text = await looked(found, environ={})

    assert 'pip install "tflock[gcp]"' in text
    assert text.count("could not list the versions of one, two: ") == 1
    assert "one:  # live/backend.tf:2" in text
