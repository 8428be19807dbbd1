"""A reader gets from the README to every page, and every link leads to a page and a heading that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
FOR_READERS = (
    "why.md",
    "faq.md",
    "how-it-works.md",
    "troubleshooting.md",
    "runbook.md",
    "security.md",
    "commands.md",
    "configuration.md",
    "install.md",
    "deploy.md",
    "upgrade.md",
)
"""Pages that the README's list of documentation names itself."""


def _prose(page):
    """A page without its code blocks, in which a bracket is no link."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def _links(page):
    """The relative links of a page: the file each leads to, and the heading in it (or an empty text)."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", _prose(page)):
        path, _, anchor = target.partition("#")
        yield (page.parent / path).resolve() if path else page, anchor


def _anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    for heading in re.findall(r"^#{1,6} (.+)$", _prose(page), flags=re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        yield re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page):
    for target, anchor in _links(page):
        assert target.exists(), target
        assert not anchor or anchor in set(_anchors(target)), f"{target.name}#{anchor}"


def test_every_page_can_be_reached_from_the_readme():
    seen, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = [target for target, _ in _links(page)]
        folders = [inside for target in targets if target.is_dir() for inside in target.glob("*.md")]
        left += [target for target in (*targets, *folders) if target.suffix == ".md"]
    assert not [str(page) for page in PAGES if page not in seen]


def test_the_readme_lists_the_pages_for_its_readers():
    listed = {target for target, _ in _links(ROOT / "README.md")}
    assert not [page for page in FOR_READERS if ROOT / "docs" / page not in listed]


def test_an_anchor_is_made_as_github_makes_it(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Stores that only resemble Amazon's\n## `--json`\n### [A link](other.md), and more\n")
    assert list(_anchors(page)) == ["stores-that-only-resemble-amazons", "--json", "a-link-and-more"]
