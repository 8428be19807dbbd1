"""Ending a pipeline with all that it started.

GitLab answers 200 to every cancel, whatever the pipeline's state, so it is read first. Forcing goes job by job and
only for jobs that are being cancelled already. Source: https://docs.gitlab.com/api/jobs/#cancel-a-job.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.ci.ends import already_ended
from bot.ci.gitlab.api import project_path
from bot.ci.gitlab.tree import Part, Tree, read_tree, whole
from bot.core.run import Cancelled, CancelResult, Phase
from bot.http.client import Absent, Client, Failed


async def cancel(client: Client, base_url: str, tree: Tree, *, force: bool) -> Cancelled:
    """Raises Failed or Absent if the pipeline itself was not cancelled; what it started may be left over."""
    run = whole(tree, {})
    if run.phase is Phase.ENDED:
        return already_ended(run)
    top, *below = tree.parts
    await _cancel(client, top)
    left = [*await _cancel_all(client, below), *([tree.missing] if tree.missing else [])]
    if force:
        await _force(client, await read_tree(client, base_url, top.project, top.run.ref.id))
    detail = "GitLab accepted the request; its jobs end when their runners do"
    return Cancelled(CancelResult.ACCEPTED, "; ".join((detail, *left)))


async def _cancel(client: Client, part: Part) -> None:
    await client.send("POST", f"{part.path}/cancel", part.words, doing="cancelling")


async def _cancel_all(client: Client, parts: Iterable[Part]) -> list[str]:
    """What was not cancelled, in words. GitLab ends child pipelines on its own, those of other projects it does not."""
    left = []
    for part in parts:
        if part.run.phase is Phase.ENDED:
            continue
        try:
            await _cancel(client, part)
        except Absent:
            left.append(f"GitLab does not know {part.words} any more")
        except Failed as failed:
            left.append(failed.detail)
    return left


async def _force(client: Client, tree: Tree) -> None:
    for part, job in tree.jobs:
        if job.get("status") == "canceling":
            path, about = f"{project_path(part.project)}/jobs/{job['id']}/cancel", f"the end of job {job['id']}"
            await client.send("POST", path, about, doing="forcing", params={"force": "true"})
