"""Every CI system of `bot.core.systems` stands in every table, so that a new one is not forgotten in any."""

from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import bot.ci
from bot.cli.claim import OWN_RUNS
from bot.config.models import CiSection, PersonSection, sections_in, tag_of
from bot.core.policy import KnownPerson
from bot.core.remedies import back_off, end_in_time, keep_running
from bot.core.systems import SYSTEMS, System
from bot.core.who import FORMS

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent.name for path in Path(bot.ci.__file__).parent.glob("*/source.py"))
each = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.type)


def _adapters():
    for package in PACKAGES:
        module = import_module(f"bot.ci.{package}.source")
        yield from (kind for kind in vars(module).values() if _is_adapter(kind) and kind.__module__ == module.__name__)


def _is_adapter(kind):
    return isinstance(kind, type) and hasattr(kind, "escalate_after")


def test_every_package_of_ci_is_the_adapter_of_one_system():
    assert sorted(kind.system for kind in _adapters()) == sorted(system.name for system in SYSTEMS)
    assert len(PACKAGES) == len(SYSTEMS)


def test_every_system_has_its_section_of_the_configuration():
    assert [tag_of(section) for section in sections_in(CiSection)] == [system.type for system in SYSTEMS]


def test_every_system_tells_a_claim_its_run():
    assert tuple(OWN_RUNS) == SYSTEMS


@each
def test_a_pipeline_is_called_by_keys_that_it_may_have(system):
    assert {system.leaf, system.scope or system.leaf} <= {*system.required, *system.optional}


@each
def test_a_person_can_have_a_login_there(system):
    assert system.login in {field.name for field in fields(KnownPerson)}
    assert system.login in PersonSection.model_fields


@each
def test_it_has_a_form_of_who(system):
    assert any(system.name in (form.systems or ()) for form in FORMS)


@each
def test_it_has_remedies_of_its_own(system):
    for advice in (back_off, end_in_time, keep_running):
        assert advice(system.name, "staging") != advice("", "staging")
    assert system.remedies != System().remedies


@each
def test_it_has_its_page(system):
    assert (ROOT / "docs" / "ci" / f"{system.type.replace('_', '-')}.md").is_file()
