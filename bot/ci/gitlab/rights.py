"""What a GitLab token may: its scope, with the role that its user needs in the project.

Source: "Permissions and roles" and the pages of the pipelines, jobs and pipeline schedules APIs.
"""

from bot.core.rights import Right, Use

_PIPELINE = "/projects/{project}/pipelines/{pipeline}"
_JOB = "/projects/{project}/jobs/{job}"
_SCHEDULES = "/projects/{project}/pipeline_schedules"

RIGHTS = (
    Right("read_api, Reporter", "pipelines, jobs and their logs",
          ("GET /projects/{project}/pipelines", f"GET {_PIPELINE}", f"GET {_PIPELINE}/jobs", f"GET {_PIPELINE}/bridges",
           f"GET {_JOB}", f"GET {_JOB}/trace")),
    Right("api, Maintainer", "cancel a pipeline, stop and start its schedules",
          (f"POST {_PIPELINE}/cancel", f"POST {_JOB}/cancel", f"GET {_SCHEDULES}", f"PUT {_SCHEDULES}/{{schedule}}"),
          Use.END),
)  # fmt: skip
