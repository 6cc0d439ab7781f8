"""The documentation's snippets are fed to the program, so that they cannot go stale."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from config.load import parse
from config.model import Config
from config.provider import Provider
from proxy.assemble.checks import CHECKS
from proxy.cli import main
from proxy.simulate.reading import parse as parse_scenario

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def configurations() -> dict[str, str]:
    """All YAML in the documentation that is a configuration, or a part of one, by where it stands."""
    found = {}
    for page in PAGES[1:]:  # those of README.md are run, in tests/readme
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)):
            written = yaml.safe_load(block)
            if isinstance(written, dict) and {"services", "listeners", "register"} & set(written):
                found[f"{page.relative_to(ROOT)}#{number}"] = block
    return found


@pytest.mark.parametrize(("where", "text"), configurations().items(), ids=configurations().keys())
def test_every_configuration_in_the_documentation_is_accepted(where: str, text: str) -> None:
    environment = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "a-value")
    written = yaml.safe_load(text)
    if "services" in written:
        written.setdefault("listeners", [{"bind": "127.0.0.1:8080"}])
        written.setdefault("routes", [{"service": next(iter(written["services"]))}])
    whole = yaml.safe_dump(written, sort_keys=False)
    model = Provider if set(written) == {"register"} else Config
    parse(whole, name=where, folder=ROOT, environ=environment, checks=CHECKS, model=model)


def scenarios() -> dict[str, str]:
    """All YAML in the documentation that is a scenario for `pointsman simulate`."""
    return {
        f"{page.relative_to(ROOT)}#{number}": block
        for page in PAGES
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
        if "arrivals" in yaml.safe_load(block)
    }


@pytest.mark.parametrize(("where", "text"), scenarios().items(), ids=scenarios().keys())
def test_every_scenario_in_the_documentation_is_accepted(where: str, text: str) -> None:
    parse_scenario(text, name=where)


def test_every_command_in_the_documentation_exists() -> None:
    told = {word for page in PAGES for word in re.findall(r"(?m)^\s*(?:\$ )?pointsman ([a-z]+)\b", page.read_text())}
    assert {
        "run",
        "validate",
        "schema",
        "registry",
        "demo",
        "version",
        "register",
        "services",
        "discover",
        "simulate",
    } <= told
    assert told <= set(main.list_commands(click.Context(main)))


def test_every_link_in_the_documentation_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_link_to_a_heading_finds_it() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            text = re.sub(r"(?ms)^```.*?^```", "", (page.parent / target if target else page).read_text())
            headings = [re.sub(r"[`*]", "", heading) for heading in re.findall(r"(?m)^#+ (.+)$", text)]
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.relative_to(ROOT)} links to {target}#{anchor}"


def test_every_registry_is_on_the_page_of_all() -> None:
    folder = ROOT / "docs/registries"
    listed = set(re.findall(r"\]\(([a-z_]+\.md)\)", (folder / "README.md").read_text()))
    assert listed == {page.name for page in folder.glob("[a-z]*.md")}


def test_nothing_tells_of_the_machine_it_was_written_on() -> None:
    for page in [*PAGES, ROOT / "CHANGELOG.md", ROOT / "Makefile", ROOT / "pyproject.toml"]:
        assert not re.search(r"/root/|/work/|/home/\w", page.read_text()), page
