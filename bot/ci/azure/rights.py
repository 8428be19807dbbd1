"""What an Azure DevOps token may: its scope, with what its user needs.

Source: the section "Security" of each page of the Build API, and "Permissions and groups" in Azure DevOps.
"""

from bot.core.rights import Right, Use

_BUILDS = "/{project}/_apis/build/builds"
_DEFINITION = "/{project}/_apis/build/definitions/{definition}"

RIGHTS = (
    Right("Build (read)", "builds, their timelines, changes and logs",
          (f"GET {_BUILDS}", f"GET {_BUILDS}/{{build}}", f"GET {_BUILDS}/{{build}}/timeline",
           f"GET {_BUILDS}/{{build}}/timeline/{{timeline}}", f"GET {_BUILDS}/{{build}}/logs/{{log}}",
           f"GET {_BUILDS}/{{build}}/changes", f"GET {_DEFINITION}")),
    Right("Build (read & execute), with Stop builds and Edit build pipeline", "cancel a build, pause a pipeline",
          (f"PATCH {_BUILDS}/{{build}}", f"PUT {_DEFINITION}"), Use.END),
)  # fmt: skip
