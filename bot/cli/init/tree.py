"""The files of a checkout, within bounds: folders of tools and of other people's code are left out, links to folders
are not followed, and a file that is too large is a fault and not read.
"""

from __future__ import annotations

import configparser
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LARGEST = 1024 * 1024
"""Bytes of a file that is read. A workflow or a backend block of this size was written by nobody."""

MOST_FILES = 200_000
_LEFT_OUT = frozenset({
    ".git", ".terraform", ".terragrunt-cache", ".terragrunt-stack", "node_modules", "vendor", "vendored", "third_party",
    ".venv", "venv", "site-packages", "__pycache__", ".tox", ".idea", ".cache",
})  # fmt: skip
_DEEPEST = 40


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file, counted from 1. `file` is relative to the checkout."""

    file: str
    line: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What could not be read, and why. The rest was read."""

    at: Place
    words: str


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a checkout was cloned from: `host` and the path there, `acme/infra`."""

    host: str
    path: str


_HOSTS = {
    "github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket", "dev.azure.com": "azure",
    "ssh.dev.azure.com": "azure",
}  # fmt: skip
"""Hosts that are one system's only. Any other may be GitHub's or GitLab's."""


@dataclass
class Checkout:
    """`top` is the repository's folder, where CI files are. Only the Terraform below `within` is of interest."""

    top: Path
    within: str = ""
    remote: Remote | None = None
    files: tuple[str, ...] = ()
    faults: list[Fault] = field(default_factory=list)
    links: Mapping[str, str] = field(default_factory=dict)
    """Files that are links to other files of the checkout, with those."""

    clusters: dict[str, str] = field(default_factory=dict)
    """The ECS clusters in which scripts start tasks, by the family of the task definition."""

    read: dict[str, Any] = field(default_factory=dict)
    """What files were read into, by path: a workflow that many call is read once."""

    _texts: dict[str, str | None] = field(default_factory=dict)
    _known: frozenset[str] = frozenset()
    _by_folder: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = frozenset(self.files)
        for file in self.files:
            self._by_folder.setdefault(posixpath.dirname(file), []).append(file)

    @property
    def name(self) -> str:
        return self.remote.path.rpartition("/")[2] if self.remote else self.top.name

    def remote_on(self, system: str) -> Remote | None:
        """The remote; None if its host is another system's: the pipelines then run in a mirror that it doesn't name."""
        return None if self.remote is None or _HOSTS.get(self.remote.host, system) != system else self.remote

    def host_of(self, system: str) -> str:
        """The host of the remote, empty if there is none on this system."""
        remote = self.remote_on(system)
        return remote.host if remote else ""

    def has(self, path: str) -> bool:
        return path in self._known

    def in_folder(self, folder: str) -> list[str]:
        return self._by_folder.get(folder, [])

    def matching(self, *patterns: str) -> Iterator[str]:
        """The files whose base name has one of these patterns."""
        return (
            file for file in self.files if any(fnmatchcase(posixpath.basename(file), pattern) for pattern in patterns)
        )

    def text(self, path: str) -> str | None:
        """None for a file that is not there or cannot be read, which is then a fault."""
        if path not in self._texts:
            self._texts[path] = self._read(path) if path in self._known else None
        return self._texts[path]

    def size(self, path: str) -> int:
        """In bytes; 0 for a file that is gone."""
        try:
            return (self.top / path).stat().st_size
        except OSError:
            return 0

    def fault(self, at: Place, words: str) -> None:
        found = Fault(at, words)
        if found not in self.faults:
            self.faults.append(found)

    def _read(self, path: str) -> str | None:
        try:
            with (self.top / path).open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            self.fault(Place(path), f"cannot be read: {error.strerror}")
            return None
        if len(content) > LARGEST:
            self.fault(Place(path), f"is larger than {LARGEST // 1024} KiB and was not read")
            return None
        if b"\x00" in content:
            self.fault(Place(path), "is not text and was not read")
            return None
        return content.decode("utf-8-sig", "replace")


def opened(path: Path) -> Checkout:
    """The checkout that a folder belongs to. Raises OSError for a folder that cannot be listed."""
    path = path.resolve(strict=True)
    top = next((folder for folder in (path, *path.parents) if (folder / ".git").exists()), path)
    within = "" if top == path else path.relative_to(top).as_posix()
    faults = list[Fault]()
    files = tuple(sorted(_walk(top, faults)))
    if not path.is_dir():
        raise NotADirectoryError(20, "is not a folder", str(path))
    links = {file: _target(top, file) for file in files if (top / file).is_symlink()}
    return Checkout(top, within, _remote(top), files, faults, links)


def _walk(top: Path, faults: list[Fault]) -> Iterator[str]:
    folders, count = [("", 0)], 0
    while folders:
        folder, depth = folders.pop()
        try:
            entries = sorted(os.scandir(top / folder), key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise
            faults.append(Fault(Place(folder), f"the folder cannot be listed: {error.strerror}"))
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            why = _left_out(top, path, entry)
            if why:
                faults.append(Fault(Place(path.encode("unicode_escape").decode("ascii")), why))
            elif entry.is_dir(follow_symlinks=False):
                if entry.name not in _LEFT_OUT and depth < _DEEPEST:
                    folders.append((path, depth + 1))
            elif count >= MOST_FILES:
                faults.append(Fault(Place("."), f"has more than {MOST_FILES} files; the rest was not looked at"))
                return
            else:
                count += 1
                if _is_inside(top, path) if entry.is_symlink() else entry.is_file():
                    yield path


def _left_out(top: Path, path: str, entry: os.DirEntry[str]) -> str:
    """Why an entry is left out, if a person has to know."""
    if not entry.name.isprintable():
        return "has signs in its name that cannot be written down, and was left out"
    if entry.is_dir(follow_symlinks=False) and (top / path / ".git").exists():
        return "is another repository and was not read: give its path, too"
    return ""


def _target(top: Path, path: str) -> str:
    try:
        return (top / path).resolve(strict=True).relative_to(top).as_posix()
    except (OSError, RuntimeError, ValueError):
        return ""


def _is_inside(top: Path, path: str) -> bool:
    """Whether a link leads to a file of the same checkout: teams share a backend block that way."""
    try:
        target = (top / path).resolve(strict=True)
        return target.is_relative_to(top) and target.is_file()
    except (OSError, RuntimeError):
        return False


def _remote(top: Path) -> Remote | None:
    """What git's own configuration calls `origin`, or its first remote. Git itself is not run."""
    try:
        text = (_git_folder(top) / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        # git indents its keys, which configparser would take for the continuation of a value
        parser.read_string("\n".join(line.strip() for line in text.splitlines()))
    except configparser.Error:
        return None
    urls = {name: parser.get(name, "url", fallback=None) for name in parser.sections() if name.startswith("remote ")}
    url = urls.get('remote "origin"') or next(filter(None, urls.values()), None)
    return remote_of(url) if url else None


def _git_folder(top: Path) -> Path:
    git = top / ".git"
    if git.is_file():  # a work tree
        folder = top / git.read_text(encoding="utf-8", errors="replace").partition("gitdir:")[2].strip()
        common = folder / "commondir"
        return folder / common.read_text(encoding="utf-8").strip() if common.is_file() else folder
    return git


def remote_of(url: str) -> Remote | None:
    """`https://host/path.git`, `ssh://git@host/path`, or `git@host:path`; a login in it is dropped."""
    short = re.fullmatch(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)", url.strip())
    if short:
        host, path = short[1], short[2]
    else:
        parts = urlsplit(url.strip())
        host, path = parts.hostname or "", parts.path
    path = path.strip("/").removesuffix(".git")
    return Remote(host.lower(), path) if host and path else None
