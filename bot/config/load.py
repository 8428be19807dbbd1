"""The configuration: a YAML file and the environment become one frozen `Config`, or all their problems at once.

Nothing here reads the process's own environment: the command line passes it in. Secrets are `Secret`, which shows
nothing of itself in any text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from bot.config.checks import REGION_VARIABLES, cross_checks, translated
from bot.config.models import ApprovalSection, ConfigFile, PersonSection, PolicySection, S3Section
from bot.config.settings import (
    BucketSettings,
    CiSettings,
    Config,
    S3Settings,
    Secret,
    SlackSettings,
    StateSettings,
    TicketSettings,
)
from bot.config.text import KeyPath, Parsed, parse
from bot.core.hours import hours_from
from bot.core.policy import (
    BUILT_IN_CI_HOSTS,
    ApprovalPolicy,
    Approvers,
    Holders,
    KnownPerson,
    LoopRule,
    Policy,
    WatchRule,
)
from bot.core.run import Conclusion, Pipeline
from bot.errors import ConfigInvalid

__all__ = [
    "DEFAULT_PATH",
    "BucketSettings",
    "CiSettings",
    "Config",
    "S3Settings",
    "Secret",
    "SlackSettings",
    "StateSettings",
    "TicketSettings",
    "load",
]

DEFAULT_PATH = "tflock.yml"
SLACK_API = "https://slack.com/api/"
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
_LOG_FORMATS = ("json", "console")
_LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_HIGHEST_PORT = 65_535


def load(path: str | Path, environ: Mapping[str, str], *, need_slack: bool = True) -> Config:
    """Reads and checks everything. Raises ConfigInvalid with every problem, those of the file in the file's order.

    A problem of the file is `FILE:LINE: KEY: REASON`, one of the environment is `VARIABLE: REASON`. With `need_slack`
    False the Slack credentials and incident channels may be missing, for commands that talk to nobody.
    """
    path = Path(path)
    environ = {name: value for name, value in environ.items() if value.strip()}
    parsed, file = _read(path, environ, need_slack=need_slack)
    findings = sorted(parsed.findings, key=lambda finding: parsed.line_of(finding[0]))
    told = [f"{path}:{parsed.line_of(place)}: {_dotted(place)}{reason}" for place, reason in findings]
    told += [f"{name}: {reason}" for name, reason in _environment_problems(environ, need_slack=need_slack)]
    if told or file is None:
        raise ConfigInvalid(tuple(dict.fromkeys(told)))
    return _built(path, file, environ)


def _read(path: Path, environ: Mapping[str, str], *, need_slack: bool) -> tuple[Parsed, ConfigFile | None]:
    try:
        parsed = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        missing = "there is no such file; copy tflock.example.yml, or name yours in TFLOCK_CONFIG"
        return Parsed(findings=(((), missing),)), None
    except UnicodeDecodeError:
        return Parsed(findings=(((), "is not UTF-8 text"),)), None
    except OSError as error:
        return Parsed(findings=(((), f"cannot be read: {error.strerror}"),)), None
    if parsed.findings and not parsed.values:
        return parsed, None
    findings = [*parsed.findings, *cross_checks(parsed.values, environ, need_slack=need_slack)]
    try:
        file = ConfigFile.model_validate(parsed.values)
    except ValidationError as invalid:
        findings += [translated(error, parsed.values) for error in invalid.errors(include_url=False)]
        file = None
    return Parsed(parsed.values, parsed.lines, tuple(findings)), file


def _region(file: ConfigFile, backend: S3Section, environ: Mapping[str, str]) -> str:
    named = (environ[name] for name in REGION_VARIABLES if name in environ)
    return backend.region or file.aws.region or next(named, "")


def _environment_problems(environ: Mapping[str, str], *, need_slack: bool) -> Iterator[tuple[str, str]]:
    if need_slack and "SLACK_BOT_TOKEN" not in environ:
        yield "SLACK_BOT_TOKEN", "is not set: the bot token (xoxb-…) from the app's page OAuth & Permissions"
    if need_slack and not {"SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN"} & environ.keys():
        yield "SLACK_SIGNING_SECRET", "is not set: it is on the app's page Basic Information (or set SLACK_APP_TOKEN)"
    if not environ.get("SLACK_API_URL", SLACK_API).startswith(("http://", "https://")):
        yield "SLACK_API_URL", "must be an http:// or https:// address"
    port = environ.get("PORT", "3000").strip()
    if not (port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT):
        yield "PORT", f"must be a number from 0 to {_HIGHEST_PORT}"
    if environ.get("REDIS_URL", "redis:").partition(":")[0].strip().lower() not in REDIS_SCHEMES:
        yield "REDIS_URL", f"must begin with one of {', '.join(f'{scheme}://' for scheme in REDIS_SCHEMES)}"
    for name, default, known in (("LOG_FORMAT", "json", _LOG_FORMATS), ("LOG_LEVEL", "info", _LOG_LEVELS)):
        if environ.get(name, default).strip().lower() not in known:
            yield name, f"must be one of {', '.join(known)}"


def _built(path: Path, file: ConfigFile, environ: Mapping[str, str]) -> Config:
    def secret(name: str) -> Secret | None:
        return Secret(environ[name].strip()) if name in environ else None

    return Config(
        path=path,
        slack=SlackSettings(
            incident_channels=file.slack.incident_channels,
            alerts_channel=file.slack.alerts_channel,
            bot_token=secret("SLACK_BOT_TOKEN"),
            signing_secret=secret("SLACK_SIGNING_SECRET"),
            app_token=secret("SLACK_APP_TOKEN"),
            api_url=environ.get("SLACK_API_URL", SLACK_API).strip().rstrip("/") + "/",
        ),
        ci={name: _ci(name, file, environ) for name in file.ci},
        states={name: _state(name, file, environ) for name in file.states},
        holders=_holders(file),
        policy=_policy(file.policy),
        timeline=file.timeline,
        export=file.export,
        watch=WatchRule(**file.watch.model_dump()),
        export_bucket=_bucket(file, environ),
        tickets=_tickets(file, environ),
        port=int(environ.get("PORT", "3000")),
        redis_url=secret("REDIS_URL"),
        claim_token=secret("TFLOCK_CLAIM_TOKEN"),
        log_format=environ.get("LOG_FORMAT", "json").strip().lower(),
        log_level=environ.get("LOG_LEVEL", "info").strip().lower(),
    )


def _ci(name: str, file: ConfigFile, environ: Mapping[str, str]) -> CiSettings:
    given = file.ci[name].model_dump()
    token_name, user_name = given.get("token_env", ""), given.get("user_env", "")
    named_regions = (environ[variable] for variable in REGION_VARIABLES if variable in environ)
    return CiSettings(
        name=name,
        type=given["type"],
        base_url=given.get("base_url", ""),
        token=Secret(environ.get(token_name, "").strip()),
        token_name=token_name,
        user=Secret(environ.get(user_name, "").strip()),
        user_name=user_name,
        region=given.get("region") or file.aws.region or next(named_regions, ""),
        relist_delay=given.get("relist_delay", timedelta(0)),
        assume_role=file.aws.assume_role,
        endpoint_url=file.aws.endpoint_url,
    )


def _state(name: str, file: ConfigFile, environ: Mapping[str, str]) -> StateSettings:
    given = file.states[name]
    backend = given.backend
    return StateSettings(
        name=name,
        description=given.description,
        protected=given.protected,
        backend=S3Settings(
            bucket=backend.bucket,
            key=backend.key,
            workspace=backend.workspace,
            workspace_key_prefix=backend.workspace_key_prefix,
            dynamodb_table=backend.dynamodb_table,
            use_lockfile=backend.use_lockfile,
            region=_region(file, backend, environ),
            assume_role=backend.assume_role or file.aws.assume_role,
            endpoint_url=backend.endpoint_url or file.aws.endpoint_url,
        ),
        pipelines=tuple(_pipeline(entry) for entry in given.pipelines),
        approval=_approval(given.approval) if given.approval is not None else None,
    )


def _pipeline(entry: Mapping[str, str]) -> Pipeline:
    return Pipeline(entry["ci"], tuple((key, value) for key, value in entry.items() if key != "ci"))


def _holders(file: ConfigFile) -> Holders:
    return Holders(
        ci_hosts=(*BUILT_IN_CI_HOSTS, *file.holders.ci_hosts),
        run_id_hosts=file.holders.run_id_hosts,
        people=tuple(_person(name, given) for name, given in file.holders.people.items()),
    )


def _person(name: str, given: PersonSection) -> KnownPerson:
    return KnownPerson(
        name,
        slack=given.slack,
        email=given.email,
        github=given.github,
        gitlab=given.gitlab,
        azure=given.azure,
        jenkins=given.jenkins,
        who=given.who,
        hours=hours_from(given.hours) if given.hours is not None else None,
    )


def _bucket(file: ConfigFile, environ: Mapping[str, str]) -> BucketSettings | None:
    given = file.export.s3
    if given is None:
        return None
    named_regions = (environ[variable] for variable in REGION_VARIABLES if variable in environ)
    return BucketSettings(
        bucket=given.bucket,
        prefix=given.prefix,
        region=file.aws.region or next(named_regions, None),
        assume_role=file.aws.assume_role,
        endpoint_url=file.aws.endpoint_url,
    )


def _policy(given: PolicySection) -> Policy:
    return Policy(
        settle={
            Conclusion.FAILED: given.settle.failed,
            Conclusion.CANCELLED: given.settle.cancelled,
            Conclusion.TIMED_OUT: given.settle.timed_out,
            Conclusion.LOST: given.settle.lost,
        },
        state_quiet=given.state_quiet,
        clock_skew=given.clock_skew,
        evidence_max_age=given.evidence_max_age,
        unlock_groups=given.unlock_groups,
        approval=_approval(given.approval),
        approval_timeout=given.approval_timeout,
        release_deadline=given.release_deadline,
        lock_age_alert=given.lock_age_alert,
        loop=LoopRule(starts=given.loop.starts, within=given.loop.within),
    )


def _approval(given: ApprovalSection) -> ApprovalPolicy:
    return ApprovalPolicy(Approvers(given.by), given.groups, not_by_run_actor=given.not_by_run_actor)


def _tickets(file: ConfigFile, environ: Mapping[str, str]) -> TicketSettings | None:
    if file.tickets is None:
        return None
    given = file.tickets.model_dump()
    token_name, user_name = given["token_env"], given.get("user_env", "")
    return TicketSettings(
        type=given["type"],
        place=given.get("repo") or given["project"],
        base_url=given["base_url"],
        token=Secret(environ.get(token_name, "").strip()),
        token_name=token_name,
        user=Secret(environ.get(user_name, "").strip()),
        user_name=user_name,
        issue_type=given.get("issue_type", ""),
    )


def _dotted(path: KeyPath) -> str:
    """`states.staging.pipelines[0].ci: `, or nothing for the file as a whole."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"{text}: " if text else ""
