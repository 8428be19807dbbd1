"""What each ticket system has to allow the token, by the `type` of `tickets`.

Source: the REST references of GitHub ("Permissions required for fine-grained personal access tokens"), GitLab ("Issues
API") and Jira Cloud ("Permissions" on each operation's page).
"""

from collections.abc import Mapping

from bot.core.rights import Right, Use

RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "github": (
        Right("metadata: read", "doctor: are issues switched on", ("GET /repos/{owner}/{repo}",), Use.DETAIL),
        Right("issues: write", "file a follow-up, and find it again",
              ("POST /repos/{owner}/{repo}/issues", "GET /repos/{owner}/{repo}/issues"), Use.FILE),
    ),
    "gitlab": (
        Right("api, Reporter", "file a follow-up, and find it again",
              ("POST /projects/{project}/issues", "GET /projects/{project}/issues", "GET /projects/{project}",
               "GET /personal_access_tokens/self"), Use.FILE),
    ),
    "jira": (
        Right("Browse projects", "find a follow-up again", ("GET /rest/api/3/search/jql",
                                                            "GET /rest/api/3/mypermissions"), Use.FILE),
        Right("Create issues", "file a follow-up", ("POST /rest/api/3/issue",), Use.FILE),
    ),
}  # fmt: skip
