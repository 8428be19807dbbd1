"""Whether only this job has this host's name: that of a container, pod or ECS task which was made for the job.

Everything must fit; what cannot be read is not private. A name that comes with an address (`ip-10-0-1-23`) is not
private: another network may have it as well, and the next machine gets it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

_METADATA_TIMEOUT = 2.0
_SHORT_ID = re.compile(r"[0-9a-f]{12,64}")
_LONG_ID = re.compile(r"[0-9a-f]{64}")
_POD_HOSTS = "# Kubernetes-managed hosts file."
"""The whole first line where a pod has a network of its own (`pkg/kubelet/kubelet_pods.go`); with the node's it ends
in "(host network)."."""

_MADE_UP = re.compile(r"(?=.*[0-9])(?=.*[a-z])[a-z0-9]{5,}|[^aeiou\W_]{5,}")
"""The last part of a pod's name that was generated. `agent-0` of a StatefulSet is the name of the next pod, too."""

_PASS_THROUGH = frozenset({
    "sh", "bash", "dash", "ash", "zsh", "busybox", "su", "sudo", "env", "timeout", "nice", "nohup", "make",
    "tini", "docker-init", "dumb-init", "catatonit", "pause", "conmon", "node", "tflock",
})  # fmt: skip
"""Programs that run a job's commands and fetch no jobs. Above anything else there may be a CI system's agent, which
gives the same container to the next job."""


def is_private(environ: Mapping[str, str], host: str, parents: Iterable[str], *, root: Path = Path("/")) -> bool:
    """Whether no process of another job has this host name. `parents` are the programs that this one was started by,
    and those above. May ask the ECS task's own metadata.
    """
    if not all(name in _PASS_THROUGH for name in parents):
        return False
    return _is_container(host, root) or _is_pod(environ, host, root) or _is_task(environ, host)


def _is_container(host: str, root: Path) -> bool:
    """Docker and Podman give a container its short ID as its name, unless it has the machine's or was given another."""
    if not _SHORT_ID.fullmatch(host):
        return False
    lines = "\n".join(_text(root / "proc" / "self" / name) for name in ("cgroup", "mountinfo"))
    return any(found.startswith(host) for found in _LONG_ID.findall(lines))


def _is_pod(environ: Mapping[str, str], host: str, root: Path) -> bool:
    if not environ.get("KUBERNETES_SERVICE_HOST", "").strip():
        return False
    first, *lines = _text(root / "etc" / "hosts").splitlines() or [""]
    is_named = any(host in line.split()[1:] for line in lines if not line.startswith("#"))
    return first.strip() == _POD_HOSTS and is_named and bool(_MADE_UP.fullmatch(host.rpartition("-")[2]))


def _is_task(environ: Mapping[str, str], host: str) -> bool:
    """A container of a task in bridge mode bears its own ID. In `awsvpc` mode it bears its address, in `host` the
    machine's name.
    """
    metadata = environ.get("ECS_CONTAINER_METADATA_URI_V4", "").strip()
    if not metadata or not _SHORT_ID.fullmatch(host):
        return False
    try:
        # this process has no event loop to run `bot.http` in, and the command is still to begin
        found: Any = httpx.get(metadata, timeout=_METADATA_TIMEOUT, trust_env=False).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False
    return isinstance(found, dict) and str(found.get("DockerId") or "").startswith(host)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
