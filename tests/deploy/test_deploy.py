"""What is in deploy/ says what the product says: versions, variables, ports, probes, pins."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
import yaml

from bot.app import web
from bot.app.metrics import Metrics
from bot.config import load
from bot.config.models import DEFAULT_VARIABLES
from bot.config.secret_files import OWN

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RENDERED = Path(__file__).parent / "rendered"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text())
MODULE = "".join(path.read_text() for path in sorted((DEPLOY / "ecs").glob("*.tf")))
UNITS = {path.stem: path.read_text() for path in (DEPLOY / "systemd").glob("*.service")}
PARTS = {"web": (["serve", "--no-worker"], "PORT", "3000"), "worker": (["worker"], "WORKER_PORT", "3001")}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
READ = set(re.findall(r'"((?:SLACK|TFLOCK|LOG|REDIS)_[A-Z_]+|(?:WORKER_)?PORT)"', Path(load.__file__).read_text()))
KNOWN = READ | set(OWN) | DEFAULT_VARIABLES | {"TFLOCK_CONFIG"}
CHECK = SourceFileLoader("check", str(DEPLOY / "check"))


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_loader("check", CHECK)
    module = importlib.util.module_from_spec(spec)
    CHECK.exec_module(module)
    return module


def documents(name):
    return [one for one in yaml.safe_load_all((RENDERED / f"{name}.yaml").read_text()) if one]


def of_kind(name, kind):
    return {one["metadata"]["name"]: one for one in documents(name) if one["kind"] == kind}


def container(name, part):
    return of_kind(name, "Deployment")[f"tflock-{part}"]["spec"]["template"]["spec"]["containers"][0]


def variable(name):
    """The product's name of a variable, with or without its file."""
    return name.removesuffix("_FILE")


def test_the_chart_has_the_version_of_the_product():
    chart = yaml.safe_load((DEPLOY / "helm/tflock/Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == VERSION


def test_the_kept_drawing_is_of_the_chart_as_it_is(check):
    """Go draws it (deploy/check --render); whoever changes the chart draws it again."""
    assert json.loads((RENDERED / "sources.json").read_text()) == check.sources()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["default", "all"])
def test_the_chart_runs_the_processes_of_the_procfile_and_probes_what_they_answer(name, part):
    command, port_variable, port = PARTS[part]
    made = container(name, part)

    assert made["args"] == command
    assert f"{part}: python -m bot {' '.join(command)}" in (ROOT / "Procfile").read_text().splitlines()
    assert {"name": port_variable, "value": port} in made["env"]
    assert made["ports"] == [{"name": "http", "containerPort": int(port)}]
    answered = set(re.findall(r'web\.get\("([^"]+)"', Path(web.__file__).read_text()))
    probes = {key: made[key]["httpGet"] for key in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["path"] for probe in probes.values()} == {"/livez", "/readyz"} <= answered
    assert probes["readinessProbe"]["path"] == "/readyz"
    assert probes["livenessProbe"]["path"] == "/livez"


@pytest.mark.parametrize("part", PARTS)
def test_a_pod_has_no_right_that_it_does_not_need(part):
    made = container("default", part)
    pod = of_kind("default", "Deployment")[f"tflock-{part}"]["spec"]["template"]["spec"]

    assert made["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}:" in DOCKERFILE
    assert "readOnly" not in json.dumps([one for one in made["volumeMounts"] if one["name"] in {"tmp", "exports"}])


def test_everything_of_the_chart_that_may_be_asked_for_is_drawn():
    kinds = {one["kind"] for one in documents("all")}
    assert kinds == {
        "Deployment",
        "Service",
        "ServiceAccount",
        "NetworkPolicy",
        "Ingress",
        "ServiceMonitor",
        "PodDisruptionBudget",
    }
    assert {one["kind"] for one in documents("default")} == kinds - {"Ingress", "ServiceMonitor"}
    (account,) = of_kind("all", "ServiceAccount").values()
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    assert set(of_kind("all", "PodDisruptionBudget")) == {"tflock-web"}  # one worker cannot spare itself
    assert set(of_kind("default", "PodDisruptionBudget")) == {"tflock-web", "tflock-worker"}


def test_the_chart_makes_no_secret_and_mounts_an_existing_one():
    for name in ("default", "all"):
        assert not of_kind(name, "Secret")
        pod = of_kind(name, "Deployment")["tflock-web"]["spec"]["template"]["spec"]
        assert {"name": "secrets", "secret": {"secretName": "tflock", "defaultMode": 0o440}} in pod["volumes"]


def test_every_pod_is_chosen_by_its_own_service_and_budget_only():
    for kind in ("Service", "PodDisruptionBudget"):
        for name, one in of_kind("default", kind).items():
            wanted = one["spec"]["selector"] if kind == "Service" else one["spec"]["selector"]["matchLabels"]
            chosen = [
                deployment
                for deployment, made in of_kind("default", "Deployment").items()
                if wanted.items() <= made["spec"]["template"]["metadata"]["labels"].items()
            ]
            assert chosen == [name]


def test_every_variable_that_is_set_is_one_that_the_product_reads():
    in_chart = {one["name"] for part in PARTS for one in container("default", part)["env"]}
    in_compose = {name for part in PARTS for name in COMPOSE["services"][part]["environment"]}
    in_units = set(
        re.findall(r"\b([A-Z][A-Z_]+)=", "\n".join(re.findall(r"(?m)^Environment=(.*)$", "\n".join(UNITS.values()))))
    )
    in_image = set(re.findall(r"\b([A-Z][A-Z_]+)=", DOCKERFILE.partition("\nENV ")[2].partition("\nUSER")[0]))
    of_python = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "MPLCONFIGDIR"}
    assert in_chart
    assert in_compose
    assert in_units
    assert {variable(name) for name in in_chart | in_compose | in_units | in_image} - of_python <= KNOWN


@pytest.mark.parametrize("part", PARTS)
def test_compose_runs_each_process_with_a_read_only_root_and_a_redis_that_keeps_every_write(part):
    command, port_variable, port = PARTS[part]
    service = COMPOSE["services"][part]

    assert service["command"] == command
    assert port_variable == "PORT" or service["environment"][port_variable] == port
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    redis = COMPOSE["services"]["redis"]["command"]
    assert redis[redis.index("--appendfsync") + 1] == "always"
    assert redis[redis.index("--maxmemory-policy") + 1] == "noeviction"
    given = {name.removesuffix("_FILE").lower() for name in service["environment"] if name.endswith("_FILE")}
    assert given == set(COMPOSE["secrets"]) == set(service["secrets"])


@pytest.mark.parametrize("part", PARTS)
def test_each_unit_runs_its_process_and_reads_the_secrets_again_on_reload(part):
    command, port_variable, port = PARTS[part]
    unit = UNITS[f"tflock-{part}"]

    assert f"ExecStart=/opt/tflock/bin/tflock {' '.join(command)}\n" in unit
    assert f"{port_variable}={port}" in unit
    assert "ExecReload=/bin/kill -HUP $MAINPID\n" in unit
    assert {"ProtectSystem=strict", "NoNewPrivileges=yes", "User=tflock"} <= set(unit.splitlines())


def test_the_module_has_the_processes_with_their_ports_and_the_printed_policy_as_its_only_rights():
    for part, (command, port_variable, port) in PARTS.items():
        written = json.dumps(command)
        assert re.search(
            rf'{part} += {{ command = {re.escape(written)}, port = {port}, variable = "{port_variable}" }}', MODULE
        )
    assert "jsonencode(jsondecode(file(var.policy_file)).aws.policy)" in MODULE
    assert re.findall(r"role += aws_iam_role\.task\.\w+", MODULE) == ["role   = aws_iam_role.task.id"]
    used = set(re.findall(r"\bvar\.(\w+)", MODULE))
    declared = set(re.findall(r'(?m)^variable "(\w+)"', MODULE))
    assert used == declared


def test_the_module_is_formatted(terraform):
    said = subprocess.run(
        [shutil.which("terraform"), "fmt", "-check", "-recursive", DEPLOY / "ecs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout) == (0, "")


def test_the_image_is_built_from_pins_with_hashes_on_a_python_that_the_product_takes(check):
    runs = [given for instruction, given in check.steps(DOCKERFILE) if instruction == "RUN"]
    installs = [run for run in runs if "pip install" in run]
    assert len(installs) == 3
    assert all("--require-hashes" in run for run in installs[:2])
    assert "--no-index" in installs[2]
    assert re.search(r"^ARG BASE=python:3\.1[1-9]-slim", DOCKERFILE, re.MULTILINE)
    pins = (ROOT / "requirements-dev.txt").read_text()
    assert (DEPLOY / "build-requirements.txt").read_text().strip() in pins
    assert "EXPOSE 3000 3001" in DOCKERFILE


def test_the_health_check_of_the_image_asks_the_process_that_runs():
    (words,) = re.findall(r"CMD (\[\"python\".*\])", DOCKERFILE)
    python, flag, program = json.loads(words)
    assert (python, flag) == ("python", "-c")
    assert {node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)} >= {
        "WORKER_PORT",
        "PORT",
        "/livez",
    }


def test_what_is_copied_into_the_image_is_not_left_out_by_the_ignore_file(check):
    kept = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    sources = {
        word for instruction, given in check.steps(DOCKERFILE) if instruction == "COPY" for word in given.split()[:-1]
    }
    assert {word for word in sources if not word.startswith("$")} <= kept
    assert "requirements*.txt" in kept


def test_the_alert_rules_are_about_metrics_that_there_are_and_one_watches_the_lists_of_patterns():
    rules = [rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
    shown = Metrics().exposition().decode()
    about = {name for rule in rules for name in re.findall(r"tflock_\w+", rule["expr"])}
    assert about >= {"tflock_patterns_unlisted", "tflock_states_left_out", "tflock_states_unread"}
    assert {name for name in about if f"# TYPE {name} " not in shown} == set()
    for rule in rules:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
