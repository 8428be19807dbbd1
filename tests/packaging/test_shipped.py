"""What is shipped: the product without its tests, and no more packages than its users need."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PRODUCT = PROJECT["project"]["dependencies"]
DEMO = PRODUCT + PROJECT["project"]["optional-dependencies"]["sandbox"]
DEVELOPMENT = DEMO + PROJECT["dependency-groups"]["dev"]
SETS = {"requirements.txt": PRODUCT, "requirements-demo.txt": DEMO, "requirements-dev.txt": DEVELOPMENT}


def pins(name):
    """The hashes of each pinned requirement."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().replace(" \\\n", "\n").strip())
    return {Requirement(first): hashes for first, *hashes in map(str.splitlines, entries)}


def applies(requirement, extras=("",)):
    return not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)


def closure(wanted):
    """The names of all packages that these requirements install here, as the installed ones say themselves."""
    found, waiting = set(), [Requirement(each) for each in wanted]
    while waiting:
        one = waiting.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key not in found:
            found.add(key)
            inner = map(Requirement, requires(one.name) or ())
            waiting += [each for each in inner if applies(each, one.extras or ("",))]
    return {name for name, _ in found}


@pytest.mark.parametrize(("name", "wanted"), SETS.items(), ids=SETS)
def test_a_set_pins_what_its_requirements_need_and_nothing_else(name, wanted):
    assert {canonicalize_name(pin.name) for pin in pins(name) if applies(pin)} == closure(wanted)


@pytest.mark.parametrize("name", SETS)
def test_every_pin_has_its_hashes_and_no_address(name):
    for pin, hashes in pins(name).items():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin
        assert hashes
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", each) for each in hashes), pin


def test_a_larger_set_has_the_same_pins_and_more():
    product, demo, development = map(pins, SETS)
    assert product.items() < demo.items() < development.items()


def test_the_product_needs_nothing_of_the_sandbox():
    assert not {"moto", "flask", "flask-cors", "docker", "werkzeug", "responses"} & {
        pin.name for pin in pins("requirements.txt")
    }


def test_the_wheel_has_the_product_and_nothing_else(tmp_path):
    source = tmp_path / "source"
    for part in ("bot", "handlers", "tests/worlds"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, source / part)
    shipped = {str(path.relative_to(source)) for part in ("bot", "handlers") for path in (source / part).rglob("*.*")}

    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=source, check=True, capture_output=True)

    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert names == shipped


IMPORTER = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked or f"{name}.".startswith("bot.sandbox."):
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

blocked, modules = (line.split() for line in sys.stdin)
sys.meta_path.insert(0, Blocker())
for module in modules:
    importlib.import_module(module)
"""


def python(code, blocked, modules):
    words = f"{' '.join(blocked)}\n{' '.join(modules)}\n"
    return subprocess.run(
        [sys.executable, "-c", code], input=words, cwd=ROOT, text=True, capture_output=True, check=False
    )


def test_every_module_of_the_product_imports_with_nothing_but_its_own_packages_installed():
    allowed = closure(PRODUCT) | {"tflock"}
    blocked = [
        name for name, owners in packages_distributions().items() if not allowed & set(map(canonicalize_name, owners))
    ]
    paths = [
        path.relative_to(ROOT).with_suffix("") for part in ("bot", "handlers") for path in ROOT.glob(f"{part}/**/*.py")
    ]
    modules = [".".join(path.parts).removesuffix(".__init__") for path in paths if path.parts[1] != "sandbox"]
    assert {"moto", "flask", "pytest"} < set(blocked)
    assert len(modules) > 100

    ended = python(IMPORTER, blocked, modules)

    assert ended.returncode == 0, ended.stderr


def test_the_demo_without_its_packages_says_what_to_install():
    ended = python(
        IMPORTER + "sys.argv = ['tflock', 'demo']; importlib.import_module('bot.__main__').main()", ["moto"], []
    )

    assert ended.returncode == 2
    assert "pip install 'tflock[sandbox]'" in ended.stderr
