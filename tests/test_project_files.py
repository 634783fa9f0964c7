"""The files a project is judged by: changelog, citation, security, licence, version, typing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bandprobe
from bandprobe._version import __version__

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Semantic Versioning 2.0.0, in the form its FAQ suggests, without build metadata.
SEMANTIC = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"


def test_the_version_is_one_and_semantic() -> None:
    assert re.fullmatch(SEMANTIC, __version__)
    assert bandprobe.__version__ == __version__
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = []
    for heading in headings[1:]:
        found = re.fullmatch(rf"\[(?P<version>{SEMANTIC})\] - (?P<date>\d{{4}}-\d\d-\d\d)", heading)
        assert found, f"{heading!r} is not [VERSION] - YYYY-MM-DD"
        released.append((found["date"], tuple(map(int, found["version"].partition("-")[0].split(".")))))
    assert released == sorted(released, reverse=True), "the latest release comes first"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for section in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        under = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert set(under) <= kinds, under
        assert len(under) == len(set(under)), "each kind of change once"
        for block in re.split(r"^### .*$", section, flags=re.MULTILINE)[1:]:
            assert re.match(r"\n- ", block), "a list below each kind"


def test_changelog_and_version_agree() -> None:
    """A released version is the latest in the changelog; before the first there is none, and the version is 0.x."""
    latest = re.search(rf"^## \[({SEMANTIC})\]", CHANGELOG, re.MULTILINE)
    if latest is None:
        assert __version__.startswith("0.")
        assert re.search(r"^### \w+\n- ", CHANGELOG, re.MULTILINE), "what the first release will hold"
    else:
        numbers = [tuple(map(int, text.partition("-")[0].split("."))) for text in (__version__, latest[1])]
        assert numbers[0] >= numbers[1]


def test_the_citation_is_whole() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed beside the tests")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    # What the schema of CFF 1.2.0 requires, and the keys of it that are used here.
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    known = {"cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords",
             "references", "doi", "identifiers", "url", "repository-code", "date-released"}  # fmt: skip
    assert set(cited) <= known
    assert cited["type"] == "software"
    assert str(cited["version"]) == __version__
    assert cited["license"] == PROJECT["license"]
    assert all(set(author) == {"name"} for author in cited["authors"])
    for reference in cited["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert all({"family-names", "given-names"} == set(author) for author in reference["authors"])
    [thesis] = [each for each in cited["references"] if each["type"] == "thesis"]
    assert thesis["title"] in (ROOT / "README.md").read_text(encoding="utf-8").replace("\n", " ")


def test_the_licence_is_the_one_declared() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_security_page_points_to_what_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    paths = re.findall(r"`(tests/[\w/.]+)`", text) + re.findall(r"\]\(([^)#]+)", text)
    assert len(paths) > 4
    for path in paths:
        assert (ROOT / path).exists(), path
    assert not re.search(r"\w@\w+\.\w", text), "an address that nobody reads"
    assert "Report a vulnerability" in text
    trust = (ROOT / "docs/trust.md").read_text(encoding="utf-8").lower()
    for anchor in re.findall(r"docs/trust\.md#([\w-]+)", text):
        assert f"## {anchor.replace('-', ' ')}" in trust


def test_types_are_declared_to_checkers() -> None:
    assert (Path(bandprobe.__file__).parent / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_every_extra_is_in_all() -> None:
    extras = PROJECT["optional-dependencies"]
    [everything] = extras["all"]
    named = set(re.findall(r"[\w-]+", everything.partition("[")[2]))
    assert named == set(extras) - {"all"}
