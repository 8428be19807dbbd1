"""What a lock's `Who` (`user@host`) tells by its form: whose machines have such names, and whether a person can.

Shapes only, from the systems' own naming. Nothing here says which run it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.core.systems import AZURE, ECS, GITHUB, GITLAB, HCP, JENKINS, System, known_as

_LONGEST = 512

_POD = "[2456789bcdfghjklmnpqrstvwxz]"
_HASH = "[456789bcdf]"
"""Of what Kubernetes makes a pod's suffix, and a deployment's hash: ten digits, spelled by
`k8s.io/apimachinery/pkg/util/rand.SafeEncodeString`."""

_HOSTED = r"(?:fv-az\d+-\d+(?:\.internal\.cloudapp\.net)?|runnervm[0-9a-z]+)"
"""Microsoft's machines for GitHub and Azure DevOps. The same names come again and again."""

_DOMAIN = r"(?:[^\\@]+\\)?"
"""Windows puts the machine before the user."""

_RUN = r"run-[A-Za-z0-9]{4,32}"
"""The id of a run of HCP Terraform, whose locks name the run that holds them, and no machine."""

_EC2 = r"ip-\d+-\d+-\d+-\d+(?:\.[a-z0-9.-]+)?"


@dataclass(frozen=True, slots=True)
class WhoForm:
    """`systems` write such a name, and no other system's jobs do; None: any may.

    `is_ci`: only a CI machine has such a name, so that no person's own machine and no other system's has it.
    """

    pattern: re.Pattern[str]
    systems: frozenset[str] | None
    is_ci: bool = False


def _form(pattern: str, *systems: System, is_ci: bool = False, by_any: bool = False) -> WhoForm:
    names = None if by_any else frozenset(system.name for system in systems)
    return WhoForm(re.compile(pattern, re.IGNORECASE | re.DOTALL), names, is_ci)


FORMS = (
    _form(rf"{_DOMAIN}(?:runner|runneradmin)@{_HOSTED}", GITHUB, is_ci=True),
    _form(r"runner@Mac-\d{13}\.local", GITHUB, is_ci=True),
    _form(r"runner@[a-z0-9-]+-[a-z0-9]{5}-runner-[a-z0-9]{5}", GITHUB, is_ci=True),  # a pod of GitHub's controller
    _form(rf"{_DOMAIN}(?:vsts|VssAdministrator)@{_HOSTED}", AZURE, is_ci=True),
    _form(rf"root@{_HOSTED}", GITHUB, AZURE, is_ci=True),
    _form(rf".*@{_HOSTED}", GITHUB, AZURE),
    _form(r"(?:root)?@runner-[\w-]+-project-\d+-concurrent-\d+(?:-[0-9a-z]+)?", GITLAB, is_ci=True),
    _form(r".*@runner-[\w-]+-project-\d+-concurrent-\d+(?:-[0-9a-z]+)?", GITLAB),
    # a pod of a deployment, whose user has no name: `@terraformer-6965b5fbc-cvzn6`
    _form(rf"@[a-z0-9.-]+-{_HASH}{{7,10}}-{_POD}{{5}}", is_ci=True, by_any=True),
    _form(rf"{_DOMAIN}(?:vsts|VssAdministrator|AzDevOps)@.*", AZURE),
    _form(r"gitlab-runner@.*", GITLAB),
    _form(r"jenkins@.*", JENKINS, ECS),
    _form(rf".*@{_RUN}", HCP, is_ci=True),
    # systems that tflock does not read
    _form(r"(?:circleci|buildkite-agent|atlantis|cloudshell-user|sbx_user\d+)@.*"),
    _form(r"terraform@tfc-agent.*", HCP),
)
"""The first that matches counts. A name that none matches may be anyone's."""

_SLOT = re.compile(r"runner-[\w-]+-project-(?P<project>\d+)-concurrent-\d+(?P<suffix>-[0-9a-z]+)?", re.IGNORECASE)
_NAMED_RUN = re.compile(rf".*@(?P<run>{_RUN})", re.DOTALL)
_SHARED = re.compile(_HOSTED, re.IGNORECASE)
_IMAGE = re.compile(r"runnervm.*", re.IGNORECASE | re.DOTALL)
_ON_EC2 = re.compile(_EC2, re.IGNORECASE)
_HOSTED_RUNNER = re.compile(r"GitHub Actions \d+|Hosted Agent|Azure Pipelines \d+", re.IGNORECASE)


def form_of(who: str) -> WhoForm | None:
    """The form of a `Who`; None if it may be anyone's."""
    if len(who) > _LONGEST:
        return None
    return next((form for form in FORMS if form.pattern.fullmatch(who)), None)


def is_ci(who: str) -> bool:
    """Whether only a CI machine has such a name."""
    form = form_of(who)
    return form is not None and form.is_ci


def run_named_in(who: str) -> str | None:
    """The id of the run that holds the lock, where the lock's own store names that."""
    found = _NAMED_RUN.fullmatch(who) if len(who) <= _LONGEST else None
    return found["run"] if found else None


def is_account_of(user: str, system: str) -> bool:
    """Whether jobs of this CI system run under such an account, which no person has as their own."""
    return user.rpartition("\\")[2].casefold() in known_as(system).accounts


def project_in(host: str) -> str | None:
    """The number of the GitLab project that a runner's slot works for; None if the host is none."""
    found = _SLOT.fullmatch(host)
    return found["project"] if found else None


def is_slot(host: str) -> bool:
    """Whether it is the name of a slot, which the next job gets again: `runner-t3qyxf-project-7120-concurrent-0`."""
    found = _SLOT.fullmatch(host)
    return found is not None and not found["suffix"]


def is_shared_host(host: str) -> bool:
    """Whether many machines bear this name (GitHub-hosted runners), so that the host by name proves nothing."""
    return _SHARED.fullmatch(host) is not None


def is_image_host(host: str) -> bool:
    """Whether every machine of one image bears this name, so that two jobs at the same time may well have it."""
    return _IMAGE.fullmatch(host) is not None


def is_ec2_host(host: str) -> bool:
    """Whether it is the name that EC2 gives a machine, or ECS a task."""
    return _ON_EC2.fullmatch(host) is not None


def is_hosted_runner(label: str) -> bool:
    """Whether GitHub or Azure DevOps calls its own runners so: then the job was on a machine of theirs."""
    return _HOSTED_RUNNER.fullmatch(label) is not None
