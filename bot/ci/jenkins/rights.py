"""What Jenkins has to allow the user of the token.

Source: "Permissions" in the Jenkins handbook ("Managing Security"); `@RequirePOST` methods of `AbstractBuild`, `Queue`,
`ParameterizedJobMixIn` and `WorkflowRun` in Jenkins' source.
"""

from bot.core.rights import Right, Use

RIGHTS = (
    Right("Overall/Read, Job/Read", "jobs, builds, their consoles and the queue",
          ("GET {job}/api/json", "GET {build}/consoleText", "GET {build}/timestamps/", "GET /queue/api/json",
           "GET /queue/item/{item}/api/json", "GET /crumbIssuer/api/json")),
    Right("Job/Cancel", "stop a build, or take it from the queue",
          ("POST {build}/stop", "POST {build}/term", "POST {build}/kill", "POST /queue/cancelItem"), Use.END),
    Right("Job/Configure", "disable and enable a job", ("POST {job}/disable", "POST {job}/enable"), Use.END),
)  # fmt: skip
