"""Which job wrote the newest version of a state that GitLab keeps. Of older ones it shows no time and no job.

Source: `app/graphql/types/terraform/state_version_type.rb` and `app/graphql/types/ci/job_type.rb` in GitLab. The job is
shown to who may see the project's builds.
"""

from __future__ import annotations

from bot.backends.frame import Writing
from bot.backends.gitlab.store import READ, Project
from bot.http.client import garbled
from bot.http.values import inner, instant, text

_NEWEST = """\
query($project: ID!, $state: String!) {
  project(fullPath: $project) {
    terraformState(name: $state) { latestVersion { createdAt job { pipeline { path } } } }
  }
}"""


async def newest(project: Project, state: str) -> tuple[Writing, ...]:
    """Raises Failed or Absent."""
    about = f"the newest version of {project.name} / {state}"
    asked = {"query": _NEWEST, "variables": {"project": await project.full_path(), "state": state}}
    answer = await project.client.send("POST", "/graphql", about, needs=READ, json=asked)
    body = project.client.as_object(answer, about)
    if body.get("errors"):
        raise garbled(f"GitLab's GraphQL gave an error on {about}")
    version = inner(inner(inner(inner(body, "data"), "project"), "terraformState"), "latestVersion")
    at = instant(version.get("createdAt"))
    if at is None:
        return ()
    return (Writing(at, text(inner(inner(version, "job"), "pipeline").get("path"))),)
