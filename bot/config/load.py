"""The configuration: a YAML file and the environment become one frozen `Config`, or all their problems at once.

Nothing here reads the process's own environment: the command line passes it in. Secrets are `Secret`, which shows
nothing of itself in any text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bot.config import patterns
from bot.config.checks import cross_checks, translated
from bot.config.models import (
    DEFAULT_VARIABLES,
    ApprovalSection,
    AwsSection,
    CiSection,
    ConfigFile,
    EcsSection,
    PolicySection,
)
from bot.config.secret_files import OWN, Resolved, named_in, resolved
from bot.config.section import REGION_VARIABLES, OwnRuns
from bot.config.settings import Config, Secret, SlackSettings, StatePattern, StateSettings
from bot.config.text import KeyPath, Parsed, parse
from bot.core.hours import hours_from
from bot.core.policy import (
    ApprovalPolicy,
    Approvers,
    AutoRelease,
    ByTime,
    Holders,
    KnownPerson,
    LoopRule,
    Policy,
    WatchRule,
)
from bot.core.run import Conclusion, Pipeline
from bot.core.systems import BY_TYPE
from bot.errors import ConfigInvalid

SLACK_API = "https://slack.com/api/"
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
_LOG_FORMATS = ("json", "console")
_LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_HIGHEST_PORT = 65_535


class _EverythingSet(dict[str, str]):
    """An environment in which every variable is set, for commands that need the value of none."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)


def load(path: str | Path, environ: Mapping[str, str], *, need_slack: bool = True, need_tokens: bool = True) -> Config:
    """Reads and checks everything. Raises ConfigInvalid with every problem, those of the file in the file's order.

    A problem of the file is `FILE:LINE: KEY: REASON`, one of the environment is `VARIABLE: REASON`. With `need_slack`
    False the Slack credentials and incident channels may be missing, for commands that talk to nobody; with
    `need_tokens` False so may all that the sections' `*_env` name, for those that ask nothing of any system.
    """
    path = Path(path)
    given = {name: value for name, value in environ.items() if value.strip()}
    parsed = _parsed(path)
    named = (*named_in(parsed.values), *DEFAULT_VARIABLES) if need_tokens else ()
    found = resolved(given, (*OWN, *named))
    parsed, file = _checked(parsed, found.environ if need_tokens else _EverythingSet(given), need_slack=need_slack)
    findings = sorted(parsed.findings, key=lambda finding: parsed.line_of(finding[0]))
    told = [f"{path}:{parsed.line_of(place)}: {_dotted(place)}{reason}" for place, reason in findings]
    told += [f"{name}: {reason}" for name, reason in found.problems]
    told += [f"{name}: {reason}" for name, reason in _environment_problems(found.environ, need_slack=need_slack)]
    if told or file is None:
        raise ConfigInvalid(tuple(dict.fromkeys(told)))
    return _built(path, _with_own_runs(file), found)


def _parsed(path: Path) -> Parsed:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        missing = (
            "there is no such file; copy tflock.example.yml, have tflock init write one, or name yours in TFLOCK_CONFIG"
        )
        return Parsed(findings=(((), missing),))
    except UnicodeDecodeError:
        return Parsed(findings=(((), "is not UTF-8 text"),))
    except OSError as error:
        return Parsed(findings=(((), f"cannot be read: {error.strerror}"),))


def _checked(parsed: Parsed, environ: Mapping[str, str], *, need_slack: bool) -> tuple[Parsed, ConfigFile | None]:
    if parsed.findings and not parsed.values:
        return parsed, None
    findings = [*parsed.findings, *cross_checks(parsed.values, environ, need_slack=need_slack)]
    try:
        file = ConfigFile.model_validate(parsed.values)
        findings += patterns.findings(file.states)
    except ValidationError as invalid:
        findings += [translated(error, parsed.values) for error in invalid.errors(include_url=False)]
        file = None
    return Parsed(parsed.values, parsed.lines, tuple(findings)), file


def _environment_problems(environ: Mapping[str, str], *, need_slack: bool) -> Iterator[tuple[str, str]]:
    if need_slack and "SLACK_BOT_TOKEN" not in environ:
        yield "SLACK_BOT_TOKEN", "is not set: the bot token (xoxb-…) from the app's page OAuth & Permissions"
    if need_slack and not {"SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN"} & environ.keys():
        yield "SLACK_SIGNING_SECRET", "is not set: it is on the app's page Basic Information (or set SLACK_APP_TOKEN)"
    if not environ.get("SLACK_API_URL", SLACK_API).startswith(("http://", "https://")):
        yield "SLACK_API_URL", "must be an http:// or https:// address"
    for name in ("PORT", "WORKER_PORT"):
        port = environ.get(name, "3000").strip()
        if not (port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT):
            yield name, f"must be a number from 0 to {_HIGHEST_PORT}"
    redis = environ.get("REDIS_URL", "")
    if redis and redis.partition(":")[0].strip().lower() not in REDIS_SCHEMES:
        yield "REDIS_URL", f"must begin with one of {', '.join(f'{scheme}://' for scheme in REDIS_SCHEMES)}"
    for name, default, known in (("LOG_FORMAT", "json", _LOG_FORMATS), ("LOG_LEVEL", "info", _LOG_LEVELS)):
        if environ.get(name, default).strip().lower() not in known:
            yield name, f"must be one of {', '.join(known)}"


def _with_own_runs(file: ConfigFile) -> ConfigFile:
    """With the pipelines that stores are themselves, where the file does not name them."""
    ci, states = dict(file.ci), dict(file.states)
    for name, state in file.states.items():
        own = state.backend.own_runs
        if own is None:
            continue
        systems = [each for each, given in ci.items() if _is_at(given, own)]
        if not systems:
            free = (f"{own.type}{number}" for number in ("", *range(2, len(ci) + 3)))
            systems = [next(each for each in free if each not in ci)]
            given = {"type": own.type, "base_url": own.base_url, "token_env": own.token_env}
            ci[systems[0]] = TypeAdapter[CiSection](CiSection).validate_python(given)
        # names of organizations and workspaces are the same in upper and lower case
        named = [{key: value.casefold() for key, value in entry.items() if key != "ci" and value is not None}
                 for entry in state.pipelines if entry["ci"] in systems]  # fmt: skip
        if {key: value.casefold() for key, value in own.keys.items()} not in named:
            entry = {"ci": systems[0], **own.keys}
            states[name] = state.model_copy(update={"pipelines": (*state.pipelines, entry)})
    return file.model_copy(update={"ci": ci, "states": states})


def _is_at(given: CiSection, own: OwnRuns) -> bool:
    address = getattr(given, "base_url", "")
    return given.type == own.type and address.rstrip("/").casefold() == own.base_url.rstrip("/").casefold()


def _built(path: Path, file: ConfigFile, given: Resolved) -> Config:
    environ = given.environ

    def secret(name: str) -> Secret | None:
        if name in given.files:
            return given.files[name]
        return Secret(environ[name].strip()) if name in environ else None

    regions = (environ[name] for name in REGION_VARIABLES if name in environ)
    aws = file.aws.model_copy(update={"region": file.aws.region or next(regions, None)})
    return Config(
        path=path,
        slack=SlackSettings(
            **dict(file.slack),
            bot_token=secret("SLACK_BOT_TOKEN"),
            signing_secret=secret("SLACK_SIGNING_SECRET"),
            app_token=secret("SLACK_APP_TOKEN"),
            api_url=environ.get("SLACK_API_URL", SLACK_API).strip().rstrip("/") + "/",
        ),
        aws=aws,
        ci=file.ci
        | {
            name: given.model_copy(update={"region": given.region or aws.region or ""})
            for name, given in file.ci.items()
            if isinstance(given, EcsSection)
        },
        states={name: _state(name, file, aws) for name in file.states if not patterns.is_pattern(name)},
        patterns=tuple(_pattern(name, file, aws) for name in file.states if patterns.is_pattern(name)),
        holders=Holders(
            ci_hosts=file.holders.ci_hosts,
            run_id_hosts=file.holders.run_id_hosts,
            people=tuple(
                KnownPerson(name, **dict(given) | {"hours": hours_from(given.hours) if given.hours else None})
                for name, given in file.holders.people.items()
            ),
        ),
        policy=_policy(file.policy),
        watch=WatchRule(**dict(file.watch)),
        timeline=file.timeline,
        export=file.export,
        tickets=file.tickets,
        secrets={name: secret(name) or Secret("") for name in _variables(file)},
        secret_files=tuple(given.files.values()),
        port=int(environ.get("PORT", "3000")),
        worker_port=int(environ["WORKER_PORT"]) if "WORKER_PORT" in environ else None,
        redis_url=secret("REDIS_URL"),
        claim_token=secret("TFLOCK_CLAIM_TOKEN"),
        log_format=environ.get("LOG_FORMAT", "json").strip().lower(),
        log_level=environ.get("LOG_LEVEL", "info").strip().lower(),
    )


def _state(name: str, file: ConfigFile, aws: AwsSection) -> StateSettings:
    given = file.states[name]
    return StateSettings(
        name=name,
        description=given.description,
        protected=given.protected is True,
        backend=given.backend.with_defaults(dict(aws)),
        pipelines=tuple(
            Pipeline(
                entry["ci"],
                tuple((key, value) for key, value in entry.items() if key != "ci"),
                BY_TYPE[file.ci[entry["ci"]].type].name,
            )
            for entry in given.pipelines
        ),
        approval=_approval(given.approval) if given.approval is not None else None,
        auto_release=AutoRelease(**dict(given.auto_release)) if given.auto_release is not None else None,
    )


def _pattern(name: str, file: ConfigFile, aws: AwsSection) -> StatePattern:
    given, template = file.states[name].protected, _state(name, file, aws)
    listing = template.backend.listing
    if listing is None:
        raise AssertionError("a pattern whose states cannot be listed is a problem of the file")
    protected, needed = {} if isinstance(given, bool) else given, {*patterns.variables(listing.name)}
    shared = tuple(
        each
        for each in template.pipelines
        if not needed <= {name for _, value in each.fields for name in patterns.variables(value)}
    )
    return StatePattern(replace(template, shared=shared), listing, protected)


def _variables(file: ConfigFile) -> Iterator[str]:
    """The variables of the environment that sections name."""
    for section in (*file.ci.values(), file.tickets, *(state.backend for state in file.states.values())):
        yield from (value for key, value in section or () if key.endswith("_env") and value is not None)


def _policy(given: PolicySection) -> Policy:
    return Policy(
        **dict(given)
        | {
            "settle": {Conclusion[name.upper()]: time for name, time in given.settle},
            "by_time": ByTime(given.by_time),
            "approval": _approval(given.approval),
            "loop": LoopRule(**dict(given.loop)),
        }
    )


def _approval(given: ApprovalSection) -> ApprovalPolicy:
    return ApprovalPolicy(**dict(given) | {"by": Approvers(given.by)})


def _dotted(path: KeyPath) -> str:
    """`states.staging.pipelines[0].ci: `, or nothing for the complete file."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"{text}: " if text else ""
