"""Checkouts as teams lay them out, and the states and pipelines that are found in them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.cli.init.command import init, read, uses_in
from bot.cli.init.keys import keys_of
from bot.cli.init.roots import roots
from bot.cli.init.tree import opened
from bot.config.load import load

LOCKS = {"use_lockfile": True}


def found_in(folder, tmp_path):
    """The configuration, loaded as the bot loads it, and its text."""
    written = read([opened(folder)], {})
    file = tmp_path / "written.yml"
    file.write_text(written.text, encoding="utf-8")
    return load(file, {}, need_slack=False, need_tokens=False), written.text


def pipelines(config):
    """By state: what each pipeline is called in its system."""
    return {
        name: sorted(" ".join(value for _, value in pipeline.fields) for pipeline in state.pipelines)
        for name, state in config.states.items()
    }


def backends(config, *keys):
    return {name: tuple(getattr(state.backend, key) for key in keys) for name, state in config.states.items()}


def test_a_monorepo_has_a_state_in_each_folder(laid_out, tmp_path):
    config, text = found_in(laid_out("monorepo"), tmp_path)

    assert backends(config, "bucket", "key", "dynamodb_table", "use_lockfile") == {
        "production": ("acme-tfstate", "environments/prod/terraform.tfstate", None, True),
        "staging": ("acme-tfstate", "environments/staging/terraform.tfstate", "acme-tf-locks", False),
    }
    assert pipelines(config) == {
        "production": ["acme/infra drift.yml", "acme/infra production.yml"],
        "staging": ["acme/infra drift.yml", "acme/infra staging.yml"],
    }
    assert config.states["production"].protected
    assert not config.states["staging"].protected
    assert "modules/network/examples/simple/main.tf:2: is this a state of yours?" in text


def test_each_combination_of_a_matrix_has_its_backend_configuration(laid_out, tmp_path):
    config, _ = found_in(laid_out("matrix"), tmp_path)

    assert backends(config, "bucket", "key") == {
        "dev": ("acme-dev-state", "shop.tfstate"),
        "prod": ("acme-prod-state", "shop.tfstate"),
    }
    assert pipelines(config) == {name: ["acme/shop deploy.yaml"] for name in ("dev", "prod")}


def test_a_reusable_workflow_runs_as_the_one_that_calls_it(laid_out, tmp_path):
    config, _ = found_in(laid_out("reusable"), tmp_path)

    keys = [key for (key,) in backends(config, "key").values()]
    assert dict(zip(keys, pipelines(config).values(), strict=True)) == {
        "dev/network.tfstate": ["acme/platform nightly.yml", "acme/platform release.yml"],
        "prod/network.tfstate": ["acme/platform release.yml"],
    }  # fmt: skip


def test_workspaces_that_nobody_names_are_guessed_by_their_files_of_values(laid_out, tmp_path):
    config, text = found_in(laid_out("tfvars"), tmp_path)

    assert backends(config, "workspace", "object_key") == {
        "dev": ("dev", "stages/dev/data.tfstate"),
        "prod": ("prod", "stages/prod/data.tfstate"),
    }
    assert pipelines(config) == {name: ["acme/data apply.yml"] for name in ("dev", "prod")}
    assert "# guessed: the workspace prod: the folder uses workspaces, and has a file prod.tfvars" in text


def test_workspaces_are_the_choices_of_an_input_and_what_the_environment_says(laid_out, tmp_path):
    config, _ = found_in(laid_out("workspaces"), tmp_path)

    assert backends(config, "workspace", "lock_path") == {
        "edge-us": ("us", "gs://acme-edge-state/edge/us.tflock"),
        "edge-eu": ("eu", "gs://acme-edge-state/edge/eu.tflock"),
        "edge-canary": ("canary", "gs://acme-edge-state/edge/canary.tflock"),
    }
    assert pipelines(config) == {
        "edge-us": ["acme/edge apply.yml"],
        "edge-eu": ["acme/edge apply.yml"],
        "edge-canary": ["acme/edge canary.yml"],
    }


def test_states_that_gitlab_manages_are_told_by_their_address(laid_out):
    checkout = opened(laid_out("gitlab"))
    by_folder = {root.folder: root for root in roots(checkout)}
    uses = uses_in(checkout)

    assert sorted(by_folder) == ["dev", "prod"]
    assert {(use.folder, use.pipeline.keys) for use in uses} == {
        ("dev", (("project", "acme/network"),)),
        ("prod", (("project", "acme/network"),)),
    }
    states = {use.folder: keys_of("http", by_folder[use.folder].values, None, use.env).values for use in uses}
    assert states == {
        "dev": gitlab_state("dev"),
        "prod": gitlab_state("production"),
    }


def gitlab_state(name):
    return {
        "type": "gitlab",
        "base_url": "https://gitlab.example.com/api/v4",
        "project": "acme/network",
        "state": name,
        "token_env": "GITLAB_TOKEN",
    }


def test_a_matrix_of_gitlab_and_a_region_that_is_worked_out(laid_out, tmp_path):
    config, text = found_in(laid_out("gitlab_s3"), tmp_path)

    assert backends(config, "key", "region") == {
        "dev": ("dev.tfstate", "eu-west-3"),
        "prod": ("prod.tfstate", "eu-west-3"),
    }
    assert pipelines(config) == {name: ["acme/cloud/base"] for name in ("dev", "prod")}
    assert "region: eu-west-3  # guessed: most other states of this repository are there" in text
    assert "# guessed: var.region is the default value in this folder" in text


def test_a_template_of_azure_devops_is_followed_for_each_value(laid_out, tmp_path):
    config, text = found_in(laid_out("azure"), tmp_path)

    assert backends(config, "storage_account", "container", "key") == {
        "dev": ("acmetfstate", "tfstate", "dev.tfstate"),
        "prod": ("acmetfstate", "tfstate", "prod.tfstate"),
    }
    assert 'azure: {type: azure_devops, base_url: "https://dev.azure.com/acme"}' in text
    assert "Which number has the pipeline of azure-pipelines.yml" in text
    assert text.count('# - {ci: azure, project: infra, definition: "?"}') == 2


@pytest.mark.parametrize("name", ["azure_pipeline.yaml", "azure-pipelines-prod.yml", ".azuredevops/apply.yml"])
def test_a_pipeline_of_azure_devops_is_known_by_its_usual_names(name, laid_out):
    folder = laid_out("azure_task")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / "azure-pipelines.yml").rename(folder / name)
    assert {use.at.file for use in uses_in(opened(folder))} == {name}


def test_the_terraform_task_of_azure_devops_names_the_backend(laid_out, tmp_path):
    config, _ = found_in(laid_out("azure_task"), tmp_path)
    assert backends(config, "storage_account", "container", "key") == {
        "warehouse": ("warehousestate", "states", "warehouse.tfstate")
    }


def test_a_jenkinsfile_is_read_with_its_folders_choices_and_makefile(laid_out, tmp_path):
    config, text = found_in(laid_out("jenkins"), tmp_path)

    assert backends(config, "key") == {
        "db-dev": ("db/dev.tfstate",),
        "db-prod": ("db/prod.tfstate",),
        "web": ("web.tfstate",),
    }
    assert text.count('# - {ci: jenkins, job: "?"}') == 3
    assert "Which job runs Jenkinsfile" in text
    assert "At which address is Jenkins?" in text


def test_atlantis_names_workspaces_and_an_ecs_task_its_folder(laid_out, tmp_path):
    config, text = found_in(laid_out("atlantis"), tmp_path)

    assert backends(config, "prefix", "workspace") == {
        "apps": ("apps", "default"),
        "core-production": ("core", "production"),
        "core-staging": ("core", "staging"),
    }
    assert "Atlantis runs Terraform on core-production, core-staging, and tflock cannot see its runs" in text
    assert "In which ECS cluster does ecs/task.json run?" in text
    assert pipelines(config) == {"apps": [], "core-production": [], "core-staging": ["terraform terraform-core"]}


def test_terragrunt_is_worked_out_where_its_names_are_in_files(laid_out, tmp_path):
    config, text = found_in(laid_out("terragrunt"), tmp_path)

    assert backends(config, "bucket", "key") == {
        "dev-vpc": ("acme-dev-state", "dev/vpc/tofu.tfstate"),
        "prod-vpc": ("acme-prod-state", "prod/vpc/tofu.tfstate"),
    }
    assert pipelines(config) == {name: ["acme/live apply.yml"] for name in ("dev-vpc", "prod-vpc")}
    assert "# guessed: worked out without running Terragrunt" in text
    assert "other-queue (root.hcl:5): bucket is acme-{local.account_name}-state" in text


def test_what_cannot_be_a_state_is_asked_and_commented_out(laid_out, tmp_path):
    config, text = found_in(laid_out("cloud"), tmp_path)

    assert "fine" in config.states
    assert not {"old", "open", "tagged"} & config.states.keys()
    assert "old (old/main.tf:2): tflock does not know the backend consul." in text
    assert "open (open/main.tf:2): Terraform takes no lock on it" in text
    assert "tagged (tagged/main.tf:2): its workspaces are those with the tags web, eu: which ones are there?" in text
    assert "#   open:  # open/main.tf:2" in text


def test_the_workspace_of_a_cloud_block_is_a_state_of_hcp(laid_out):
    by_folder = {root.folder: root for root in roots(opened(laid_out("cloud")))}
    keys = keys_of("cloud", by_folder["platform"].values, None, {})
    assert keys.values == {"type": "hcp", "organization": "acme", "workspace": "platform", "token_env": "TFE_TOKEN"}


@pytest.mark.parametrize("layout", sorted(path.stem for path in (Path(__file__).parent / "layouts").iterdir()))
def test_what_is_commented_out_is_yaml_once_its_marks_are_removed(layout, laid_out, capsys):
    init([laid_out(layout)], Path("-"), {}, force=False)
    text = capsys.readouterr().out
    head, _, tail = text.partition("# Not complete: fill in what is asked, and remove the “# ” before the lines.\n")

    assert set(yaml.safe_load(head)) <= {"version", "slack", "ci", "states"}
    if tail:
        states = yaml.safe_load("states:\n" + "\n".join(line.removeprefix("# ") for line in tail.splitlines()))[
            "states"
        ]
        assert all(state["backend"]["type"] for state in states.values())


def test_a_mirror_on_another_system_is_asked_for_and_not_made_up(laid_out, tmp_path):
    config, text = found_in(laid_out("mirror"), tmp_path)

    assert backends(config, "base_url", "project", "state") == {
        "network": ("https://gitlab.com/api/v4", "4711", "network")  # Terraform takes the block before the variables
    }
    assert "Which project on GitLab is this (group/name)?" in text
    assert '# - {ci: gitlab, project: "?"}' in text
    assert "github.com/api" not in text


def test_the_same_pipeline_is_mapped_where_the_remote_may_be_gitlabs(laid_out, tmp_path):
    folder = laid_out("mirror")
    git = folder / ".git" / "config"
    git.write_text(git.read_text().replace("github.com", "git.acme.example"))

    config, _ = found_in(folder, tmp_path)

    assert pipelines(config) == {"network": ["acme/infra"]}
