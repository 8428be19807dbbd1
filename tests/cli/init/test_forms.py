"""Forms that pipelines and configurations have in the wild: what is found, what is a guess, and what a question."""

from __future__ import annotations

import pytest

from bot.cli.init.command import gathered, read, uses_in
from bot.cli.init.expressions import values_of
from bot.cli.init.holes import holes_in, is_known, shown
from bot.cli.init.roots import roots
from bot.cli.init.shell import Session
from bot.cli.init.tree import Place, opened
from bot.cli.init.values import FUNCTIONS, Missing, value_of
from tests.cli.init.test_layouts import backends, found_in, pipelines

STATE = 'terraform {{\n  backend "gcs" {{\n    bucket = "acme"\n    prefix = "{}"\n  }}\n}}\n'
EMPTY = 'terraform {\n  backend "gcs" {}\n}\n'


def repo(files, remote="https://github.com/acme/infra.git"):
    return f"remote: {remote}\n" + "".join(f"-- {path} --\n{text}" for path, text in files.items())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("github.ref == 'refs/heads/main' && 'prod' || 'dev'", ("prod", "dev")),
        ("'a' == 'a' && 'prod' || 'dev'", ("prod",)),
        ("matrix.env == 'dev' && 'dev' || 'other'", ("dev",)),
        ("inputs.stage == 'dev' && 'sandbox' || inputs.stage", ("sandbox", "prod")),
        ("format('{0}-{1}', matrix.env, 'eu')", ("dev-eu",)),
        ("""fromJSON(inputs.all && '["a", "b"]' || '["c"]')""", (["a", "b"], ["c"])),
        ("!cancelled() && 'x'", ("x", False)),
        ("matrix['env']", ("dev",)),
    ],
)
def test_an_expression_has_every_value_that_it_can_come_to(expression, expected):
    found = values_of(expression, {"matrix.env": "dev"}, {"inputs.stage": ("dev", "prod")})
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


@pytest.mark.parametrize("expression", ["secrets.KEY", "a[b", "hashFiles('x')", "(" * 5000, "'open"])
def test_an_expression_that_is_not_known_is_a_hole(expression):
    (value,) = values_of(expression, {}, {})
    assert not is_known(value)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('if [ "$REF" = main ]; then E=prod; else E=dev; fi\nterraform workspace select $E', {"prod", "dev"}),
        ('KIND=x\nif [ "$KIND" = x ]; then E=prod; else E=dev; fi\nterraform workspace select $E', "prod"),
        ('case "$REF" in\n  main|hot*) E=prod ;;\n  *) E=dev ;;\nesac\nterraform workspace select $E', {"prod", "dev"}),
        ('KIND=hot1\ncase "$KIND" in main|hot*) E=prod ;; *) E=dev ;; esac\nterraform workspace select $E', "prod"),
        ('[[ $REF == main ]] && E=prod || E=dev\nterraform workspace select "$E"', {"prod", "dev"}),
        ('E=prod\nif [ -z "$E" ]; then E=none; exit 1; fi\nterraform workspace select $E', "prod"),
        ('E=dev\nif [ -z "$REF" ]; then E=none; exit 1; fi\nterraform workspace select $E', "dev"),
        ("for E in dev prod; do terraform workspace select $E; done", {"dev", "prod"}),
    ],
)
def test_a_variable_has_the_values_of_all_branches_that_may_be_taken(laid_out, script, expected):
    session = Session(opened(laid_out(repo({"a.tf": EMPTY}))), Place("x"))
    session.run(f"{script}\nterraform apply")
    (call,) = session.calls

    if isinstance(expected, str):
        assert call.workspace == expected
    else:
        (name,) = holes_in(call.workspace)
        assert set(session.options[name]) == expected


@pytest.mark.parametrize(
    ("script", "config"),
    [
        ('A="one\n two" terraform -chdir=a init -backend-config="x.hcl"\nterraform -chdir=a apply', "x.hcl"),
        ("# don't\nterraform -chdir=a init -backend-config=x.hcl\nterraform -chdir=a apply", "x.hcl"),
    ],
)
def test_quotes_that_go_over_lines_hide_no_command(laid_out, script, config):
    session = Session(opened(laid_out(repo({"a/a.tf": EMPTY}))), Place("x"))
    session.run(script)
    assert [(call.folder, call.config, call.applies) for call in session.calls] == [("a", (config,), True)]


def workflow(steps, head="on: push"):
    body = "".join(f"      - {step}\n" for step in steps)
    return f"{head}\njobs:\n  run:\n    runs-on: ubuntu-latest\n    steps:\n{body}"


NETWORK = "api/v4/projects/4711/terraform/state/network"
KEPT = f'terraform {{{{\n  backend "http" {{{{\n    address = "https://{{}}/{NETWORK}"\n  }}}}\n}}}}\n'
JOB = "deploy:\n  script: [terraform init, terraform apply]\n"


def of_gitlab(kept, remote):
    return repo({"a.tf": KEPT.format(kept), ".gitlab-ci.yml": JOB}, remote)


def entry_of_gitlab(laid_out, *texts):
    checkouts = [opened(laid_out(text, f"checkout-{hash(text)}")) for text in texts]
    text = read(checkouts, {}).text
    return next(line.strip() for line in text.splitlines() if " gitlab: {" in line), text


def test_a_pipeline_runs_on_the_states_of_its_own_checkout_also_if_another_has_files_of_the_same_names(laid_out):
    checkouts = [
        opened(
            laid_out(
                repo(
                    {"a.tf": STATE.format(name), ".github/workflows/x.yml": workflow(["run: terraform apply"])},
                    f"https://github.com/acme/{name}.git",
                ),
                name,
            )
        )
        for name in ("app", "net")
    ]
    states = gathered(checkouts).states
    mapped = {state.name: [dict(each.seen.keys)["repo"] for each in state.pipelines] for state in states}
    assert mapped == {"app": ["acme/app"], "net": ["acme/net"]}


def test_the_gitlab_of_a_mirror_is_the_one_that_keeps_its_state(laid_out):
    on_github = "https://github.com/acme/infra.git"
    said, _ = entry_of_gitlab(laid_out, of_gitlab("git.acme.example", on_github))
    usual, _ = entry_of_gitlab(laid_out, of_gitlab("gitlab.com", on_github))
    assert 'gitlab: {type: gitlab, base_url: "https://git.acme.example/api/v4"}' in said
    assert "gitlab: {type: gitlab}" in usual


def test_the_address_of_a_system_is_that_of_the_checkouts_that_use_it_and_asked_where_they_differ(laid_out):
    on_github = repo({"b.tf": STATE.format("b"), ".github/workflows/x.yml": workflow(["run: terraform apply"])})
    ours = of_gitlab("git.acme.example", "https://git.acme.example/acme/one.git")
    theirs = of_gitlab("gitlab.com", "https://gitlab.com/acme/two.git")

    said, text = entry_of_gitlab(laid_out, on_github, ours)
    assert said.startswith('gitlab: {type: gitlab, base_url: "https://git.acme.example/api/v4"}')
    assert "\n  github: {type: github_actions}" in text

    said, text = entry_of_gitlab(laid_out, ours, theirs)
    assert said.startswith('# gitlab: {type: gitlab, base_url: "?"}')
    assert "At which address is GitLab CI? Its pipelines are commented out until then." in text


def test_a_folder_that_is_called_test_is_an_environment_where_others_are_beside_it(laid_out, tmp_path):
    folders = ("envs/dev/net", "envs/test/net", "envs/test/dns", "modules/net/test", "tests/prod")
    config, text = found_in(laid_out(repo({f"{at}/a.tf": STATE.format(at) for at in folders})), tmp_path)

    (prefixes,) = zip(*backends(config, "prefix").values(), strict=True)
    assert sorted(prefixes) == ["envs/dev/net", "envs/test/dns", "envs/test/net"]
    asked = "is this a state of yours? It lies among examples, so it is left out."
    assert all(f"{at}/a.tf:2: {asked}" in text for at in folders[3:])


def test_every_workspace_that_a_script_may_select_is_a_state(laid_out, tmp_path):
    script = (
        'terraform init\nif [ "$1" = prod ]; then\n  terraform workspace select default\n'
        'else\n  terraform workspace select "$1"\nfi\n'
    )
    head = (
        "on: push\njobs:\n  setup:\n    runs-on: x\n    outputs: {env: '${{ steps.pick.outputs.env }}'}\n    steps:\n"
        "      - id: pick\n        run: |\n          if [[ $GITHUB_REF == x ]]; then E=test; else E=prod; fi\n"
        '          echo "env=$E" >> $GITHUB_OUTPUT\n'
        "  apply:\n    needs: setup\n    runs-on: x\n    steps:\n"
        "      - run: ./select.sh ${{ needs.setup.outputs.env }}\n      - run: terraform apply\n"
    )
    files = {"a.tf": STATE.format("a"), "select.sh": script, ".github/workflows/x.yml": head}
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert {state.backend.workspace for state in config.states.values()} >= {"default", "test"}
    assert all(names == ["acme/infra x.yml"] for names in pipelines(config).values())
    assert "# guessed: needs.setup.outputs.env can be test" in text or "# guessed: E can be test" in text


def test_a_workspace_that_only_a_run_knows_is_asked_beside_those_that_are_known(laid_out, tmp_path):
    steps = [
        "run: terraform init && terraform workspace select dev && terraform plan",
        "run: terraform workspace select $X && terraform apply",
    ]
    files = {"a.tf": STATE.format("a"), ".github/workflows/x.yml": workflow(steps)}
    _, text = found_in(laid_out(repo(files)), tmp_path)
    assert "which workspaces of . does this select with {X}?" in text


def test_a_pipeline_that_may_run_anywhere_makes_no_workspace_where_nobody_asks_for_one(laid_out, tmp_path):
    steps = [
        "{working-directory: '${{ inputs.dir }}', run: 'terraform init; terraform workspace new dev; terraform plan'}"
    ]
    asks = 'resource "x" "y" {\n  name = terraform.workspace\n}\n'
    files = {
        "a/a.tf": STATE.format("a"),
        "b/b.tf": STATE.format("b") + asks,
        ".github/workflows/x.yml": workflow(steps),
    }
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert backends(config, "prefix", "workspace") == {"a": ("a", "default"), "b-dev": ("b", "dev")}
    assert "# guessed: the workspace dev is that of a pipeline: its folder is only known when it runs" in text


APPLIES = "{working-directory: '%s', run: 'terraform init; terraform apply'}"


@pytest.mark.parametrize(
    ("folder", "above"),
    [("${{ inputs.dir }}", ""), ("./${{ inputs.dir }}", "live/"), ("${{ inputs.team }}/${{ inputs.dir }}", "live/")],
)
def test_pipelines_of_whose_folder_nothing_is_known_are_one_question_where_there_are_several(
    laid_out, tmp_path, folder, above
):
    files = {f".github/workflows/{name}.yml": workflow([APPLIES % folder]) for name in ("x", "y")}
    one, two = ({f"{above}{name}/a.tf": STATE.format(name) for name in names} for names in ("a", "ab"))

    only, guessed = found_in(laid_out(repo(one | files), "one"), tmp_path)
    several, text = found_in(laid_out(repo(two | files), "two"), tmp_path)

    assert pipelines(only) == {"a": ["acme/infra x.yml", "acme/infra y.yml"]}
    assert guessed.count("# guessed: its folder is only known when it runs") == 2
    assert pipelines(several) == {"a": [], "b": []}
    assert "guessed: its folder" not in text
    (asked,) = [line for line in text.splitlines() if "Their folder is only known when they run" in line]
    assert "acme/infra x.yml" in asked
    assert "acme/infra y.yml" in asked


def test_a_pipeline_whose_folder_is_a_choice_of_some_is_guessed_for_those(laid_out, tmp_path):
    head = "on: {workflow_dispatch: {inputs: {dir: {type: choice, options: [a, b]}}}}"
    files = {f"{name}/x.tf": STATE.format(name) for name in "abc"}
    files[".github/workflows/x.yml"] = workflow([APPLIES % "${{ inputs.dir }}"], head)
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert pipelines(config) == {"a": ["acme/infra x.yml"], "b": ["acme/infra x.yml"], "c": []}
    assert "Their folder is only known" not in text


def test_two_jobs_without_a_name_yet_are_two_pipelines(laid_out):
    job = "node { dir('a') { sh 'terraform init; terraform apply' } }\n"
    text = read(
        [opened(laid_out(repo({"a/a.tf": STATE.format("a"), "one/Jenkinsfile": job, "two/Jenkinsfile": job})))], {}
    ).text
    assert text.count('# - {ci: jenkins, job: "?"}') == 2


def test_configurations_that_no_pipeline_names_are_states_as_well(laid_out, tmp_path):
    files = {
        "a/a.tf": EMPTY,
        **{f"a/{name}.tfbackend": f'bucket = "acme"\nprefix = "{name}"\n' for name in ("dev", "prod", "qa")},
        ".github/workflows/x.yml": workflow(
            ["run: terraform -chdir=a init -backend-config=dev.tfbackend && terraform -chdir=a apply"]
        ),
    }
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert pipelines(config) == {"a-dev": ["acme/infra x.yml"], "a-prod": [], "a-qa": []}
    assert "# guessed: a state for a/qa.tfbackend, which no pipeline names" in text
    assert "a/dev.tfbackend, which" not in text


def test_choices_leave_out_the_files_that_are_none(laid_out, tmp_path):
    head = "on:\n  workflow_dispatch:\n    inputs:\n      env: {type: choice, options: [dev, prod]}"
    step = "run: terraform -chdir=a init -backend-config=${{ inputs.env }}.tfbackend && terraform -chdir=a apply"
    files = {
        "a/a.tf": EMPTY,
        **{f"a/{name}.tfbackend": f'bucket = "acme"\nprefix = "{name}"\n' for name in ("dev", "prod", "qa")},
        ".github/workflows/x.yml": workflow([step], head),
    }
    config, _ = found_in(laid_out(repo(files)), tmp_path)
    assert pipelines(config) == {"a-dev": ["acme/infra x.yml"], "a-prod": ["acme/infra x.yml"], "a-qa": []}


@pytest.mark.parametrize(
    ("step", "maps"),
    [
        ("{uses: dflook/terraform-fmt-check@v1, with: {path: a}}", False),
        ("{uses: dflook/terraform-validate@v1, with: {path: a}}", False),
        ("{uses: dflook/terraform-apply@v1, with: {path: a}}", True),
        ("{uses: acme/terraform-lint@v1, with: {dir: a}}", False),
        ("{uses: acme/terraform-deploy@v1, with: {dir: a}}", True),
        ("{run: 'terraform -chdir=a init; terraform -chdir=a validate'}", False),
        ("{working-directory: a, run: 'terraform init; $WRAPPER apply -auto-approve'}", True),
        ("{working-directory: a, run: 'terraform init; $WRAPPER greet'}", False),
        ("{working-directory: a, run: 'terraform init -backend=false; terraform plan'}", False),
        ("{working-directory: a, run: 'terraform init; terraform output -json'}", False),
        ("{working-directory: a, run: 'command -v terraform &> /dev/null; terraform -version > x'}", False),
        ("{working-directory: a, run: 'terraform init > /dev/null; terraform apply 2>&1 | tee x'}", True),
        ("{working-directory: a, run: 'sudo mv terraform /usr/bin/terraform'}", False),
    ],
)
def test_what_only_checks_is_no_pipeline_of_a_state(laid_out, tmp_path, step, maps):
    files = {"a/a.tf": STATE.format("a"), ".github/workflows/x.yml": workflow([step])}
    config, _ = found_in(laid_out(repo(files)), tmp_path)
    assert pipelines(config) == {"a": ["acme/infra x.yml"] if maps else []}


INCLUDE = "include:\n  - project: acme/ci\n    file: terraform.yml\n"
CALLED = "on: push\njobs:\n  x:\n    uses: other/flows/.github/workflows/terraform.yml@v1\n"


@pytest.mark.parametrize("inputs", ["working_directory: live/dev", "environment: dev\n      tf-dir: ./live/dev/app"])
def test_a_workflow_of_another_repository_is_a_guess_by_its_inputs(laid_out, tmp_path, inputs):
    files = {"live/dev/app/a.tf": STATE.format("a"), ".github/workflows/x.yml": f"{CALLED}    with:\n      {inputs}\n"}
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert pipelines(config) == {"dev-app": ["acme/infra x.yml"]}
    assert "workflow: x.yml}  # guessed: " in text


def test_a_folder_above_is_that_of_the_environment_that_is_named(laid_out, tmp_path):
    files = {
        **{f"live/{env}/app/a.tf": STATE.format(env) for env in ("dev", "prod")},
        ".github/workflows/x.yml": f"{CALLED}    with: {{working_directory: live, environment: dev}}\n",
        ".github/workflows/y.yml": f"{CALLED}    with: {{working_directory: live}}\n",
    }
    config, _ = found_in(laid_out(repo(files)), tmp_path)
    assert pipelines(config) == {"dev-app": ["acme/infra x.yml", "acme/infra y.yml"], "prod-app": ["acme/infra y.yml"]}


def test_an_input_may_have_slashes_in_it(laid_out, tmp_path):
    step = "{working-directory: 'live/${{ inputs.stack }}', run: 'terraform init; terraform apply'}"
    files = {
        "live/eu/app/a.tf": STATE.format("a"),
        "other/b.tf": STATE.format("b"),
        ".github/workflows/x.yml": workflow([step]),
    }
    config, _ = found_in(laid_out(repo(files)), tmp_path)
    assert pipelines(config) == {"eu-app": ["acme/infra x.yml"], "other": []}


@pytest.mark.parametrize("default", ["${get_repo_root()}/x", "${run_cmd(1)}", "\\u0007"])
def test_a_default_that_is_not_known_leaves_a_file_that_loads(laid_out, tmp_path, default):
    state = (
        'remote_state {\n  backend = "gcs"\n  config = {\n    bucket = "acme"\n'
        f'    prefix = "${{basename(get_env("P", "{default}"))}}"\n  }}\n}}\n'
    )
    unit = 'terraform {\n  source = "x"\n}\n' + state
    files = {"a/terragrunt.hcl": unit, "b/b.tf": STATE.format("b")}
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert "b" in config.states
    assert all(sign.isprintable() or sign == "\n" for sign in text)


def test_the_units_of_a_stack_are_asked(laid_out):
    stack = 'unit "db" {\n  source = "x"\n  path   = "db"\n}\n'
    text = read([opened(laid_out(repo({"a/a.tf": STATE.format("a"), "live/terragrunt.stack.hcl": stack})))], {}).text
    assert "db (live/terragrunt.stack.hcl:1): no file that it is made of says where its state is" in text


def test_a_unit_without_a_remote_state_is_asked(laid_out):
    unit = 'include {\n  path = find_in_parent_folders("root.hcl")\n}\n'
    text = read([opened(laid_out(repo({"root.hcl": "", "app/terragrunt.hcl": unit})))], {}).text
    assert "app (app/terragrunt.hcl:1): no file that it is made of says where its state is: where is it?" in text


def test_a_workflow_of_another_repository_without_a_folder_is_asked(laid_out, tmp_path):
    files = {"a/a.tf": STATE.format("a"), ".github/workflows/x.yml": CALLED}
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert pipelines(config) == {"a": []}
    assert "On which states do these run Terraform, if they do?" in text
    assert "other/flows/.github/workflows/terraform.yml@v1 (.github/workflows/x.yml:4)" in text


@pytest.mark.parametrize(
    ("file", "content", "asked"),
    [
        ("Jenkinsfile", "@Library('Shared') _\nwithInfraPipeline('x')\n", "the library Shared (Jenkinsfile:1)"),
        (".gitlab-ci.yml", INCLUDE, "acme/ci terraform.yml (.gitlab-ci.yml:2)"),
        ("x/.gitlab-ci.yml", INCLUDE, "x/.gitlab-ci.yml (x/.gitlab-ci.yml:1)"),
        ("ci/run.yml", "pool: x\nsteps:\n  - template: tf/apply.yml@flows\n", "tf/apply.yml@flows (ci/run.yml:3)"),
    ],
)  # fmt: skip
def test_what_other_systems_call_elsewhere_is_asked(laid_out, file, content, asked):
    text = read(
        [
            opened(
                laid_out(repo({"a/a.tf": STATE.format("a"), file: content}, "https://git.acme.example/acme/infra.git"))
            )
        ],
        {},
    ).text
    assert asked in text


def test_a_template_of_another_repository_gets_its_folder_and_environment(laid_out):
    pipeline = (
        "trigger: none\npool: x\nsteps:\n  - template: tf/apply.yml@templates\n    parameters:\n"
        "      WORKINGDIR: a\n      TF_ENVIRONMENT_FOLDER: dev\n"
    )
    files = {
        "a/a.tf": EMPTY,
        **{f"a/env/{name}/backend.tfvars": f'bucket = "acme"\nprefix = "{name}"\n' for name in ("dev", "prod")},
        "ci/run.yml": pipeline,
    }
    text = read([opened(laid_out(repo(files)))], {}).text
    dev, prod = text.partition("a-dev:")[2].partition("a-prod:")[::2]

    assert "# guessed: what it runs is in another repository (tf/apply.yml@templates) (ci/run.yml:4)" in dev
    assert "# - {ci: azure" not in prod


def test_variables_of_a_template_get_its_parameters_and_a_copy_its_folder(laid_out):
    stage = """
  - stage: {0}
    variables:
      - template: vars.yml
        parameters: {{env: {0}}}
    jobs:
      - job: x
        steps:
          - task: TerraformTaskV4@4
            inputs:
              command: init
              workingDirectory: $(Pipeline.Workspace)/drop/app
              backendGCPBucketName: $(BUCKET)
              backendGCPPrefix: app
          - task: TerraformTaskV4@4
            inputs: {{command: apply, workingDirectory: $(Pipeline.Workspace)/drop/app}}
"""
    files = {
        "infra/app/a.tf": EMPTY,
        "infra/azure-pipelines.yml": f"trigger: none\nstages:\n{stage.format('dev')}{stage.format('prod')}",
        "infra/vars.yml": "parameters:\n  - name: env\n  - {name: place, values: [eu, us], default: eu}\n"
        "variables:\n  - {name: BUCKET, value: 'acme-${{ parameters.env }}-${{ parameters.place }}'}\n",
    }
    found = read([opened(laid_out(repo(files)))], {})

    assert found.complete == found.guessed == 2
    assert "bucket: acme-dev-eu\n" in found.text
    assert "bucket: acme-prod-eu\n" in found.text
    assert "it runs in a copy ({Pipeline.Workspace}/drop/app)" in found.text


def test_a_folder_of_a_jenkinsfile_is_that_of_its_environment(laid_out):
    job = (
        'pipeline { environment { WHERE = "env/${params.ENV}" }\n'
        " stages { dir(\"${env.WHERE}\") { sh 'terraform init; terraform apply' } } }"
    )
    files = {"env/dev/a.tf": STATE.format("a"), "other/b.tf": STATE.format("b"), "Jenkinsfile": job}
    (use,) = uses_in(opened(laid_out(repo(files))))
    assert shown(use.folder) == "env/{ENV}"


def test_a_block_that_folders_below_link_to_is_theirs_alone(laid_out):
    folder = laid_out(repo({"all/tofu.tf": STATE.format("${local.name}"), **{
        f"all/{name}/main.tf": f'locals {{\n  name = "{name}"\n}}\n' for name in ("one", "two")}}))  # fmt: skip
    for name in ("one", "two"):
        (folder / f"all/{name}/tofu.tf").symlink_to("../tofu.tf")
    assert [(root.folder, root.values["prefix"]) for root in roots(opened(folder))] == [
        ("all/one", "one"),
        ("all/two", "two"),
    ]


def test_incomplete_states_that_differ_in_their_workspace_are_written_once(laid_out):
    step = "run: terraform init && terraform workspace select ${{ matrix.env }} && terraform apply"
    head = workflow([step]).replace("    steps:", "    strategy: {matrix: {env: [dev, prod]}}\n    steps:")
    files = {"a.tf": 'terraform {\n  backend "gcs" {\n    prefix = "a"\n  }\n}\n', ".github/workflows/x.yml": head}
    found = read([opened(laid_out(repo(files)))], {})

    assert found.incomplete == 1
    assert "it has several workspaces, each a state of its own: dev, prod" in found.text


def names(name):
    if name != "local":
        raise Missing(name)
    return {"path": "live/dev/eu/app", "env": {"name": "dev"}, "none": None}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('${split("/", local.path)[1]}', "dev"),
        ("${length(local.path) > 3 ? local.env.name : local.gone}-x", "dev-x"),
        ('${try(local.env.gone, "other")}', "other"),
        ('${try(local.env.name, "other")}', "dev"),
        ('${join("/", compact([local.env.name, "", "a"]))}', "dev/a"),
        ('${replace(local.path, "/", "-")}', "live-dev-eu-app"),
        ('${lookup({dev = "1", prod = "2"}, local.env.name)}', "1"),
        ('${{"a" = 1 + 2}["a"]}', 3),
        ('${local.env["name"] == "dev" && !false}', True),
        ('${format("%s-%02d", local.env.name, "7")}', "dev-7"),
        ('${basename(dirname("${local.path}/x"))}', "app"),
        ('${regex("live/(.*)/eu", local.path)[0]}', "dev"),
        ({"a": ["${upper(local.env.name)}"]}, {"a": ["DEV"]}),
        ("$${kept}", "${kept}"),
    ],
)
def test_an_expression_of_hcl_is_worked_out(given, expected):
    assert value_of(given, names, FUNCTIONS) == expected


@pytest.mark.parametrize("given", ["${uuid()}", "${[for x in y : x]}", "${(" + "(" * 3000 + "}", "${local.env.gone}"])
def test_an_expression_of_hcl_that_cannot_be_worked_out_is_a_hole(given):
    assert not is_known(value_of(given, names, FUNCTIONS, is_final=True))


def test_terragrunt_is_worked_out_through_its_files(laid_out, tmp_path):
    root = """
locals {
  parts  = split("/", path_relative_to_include())
  env    = local.parts[0]
  vars   = yamldecode(file(find_in_parent_folders("vars.yaml")))
  region = try(read_terragrunt_config(find_in_parent_folders("region.hcl")).locals.region, get_env("REGION", "none"))
}
remote_state {
  backend = "gcs"
  config = {
    bucket = "${local.vars.project}-${local.env}-${local.region}"
    prefix = "${basename(get_terragrunt_dir())}/${replace(path_relative_to_include(), "/", ".")}"
  }
}
"""
    unit = 'include "root" {\n  path = find_in_parent_folders("root.hcl")\n}\n'
    files = {
        "live/root.hcl": root, "live/vars.yaml": "project: shop\n",
        "live/dev/region.hcl": 'locals {\n  region = "eu"\n}\n',
        "live/dev/app/terragrunt.hcl": unit, "live/prod/app/terragrunt.hcl": unit, "live/prod/app/main.tf": EMPTY,
    }  # fmt: skip
    config, text = found_in(laid_out(repo(files)), tmp_path)

    assert sorted(backends(config, "bucket", "prefix").values()) == [
        ("shop-dev-eu", "app/dev.app"),
        ("shop-prod-none", "app/prod.app"),
    ]
    assert text.count("# guessed: worked out without running Terragrunt") == 2
    assert "# guessed: REGION is not set, and is taken for none" in text
