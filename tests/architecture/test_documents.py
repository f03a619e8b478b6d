"""What is generated and kept is current; what is written by hand names things that exist."""

import re

import pytest
import rules
import yaml

from docs import generate
from marketplace.actor import OrganisationKind, Role
from marketplace.settings import Settings

COMPOSE = yaml.safe_load((rules.ROOT / "docker-compose.yml").read_text())
ONE_SHOT = {"migrate", "bucket"}


@pytest.mark.parametrize(
    "path", [generate.DOCS / "states.md", generate.DOCS / "openapi.json"], ids=lambda path: path.name
)
def test_generated_documents_are_current(path, running):
    assert path.read_text() == generate.documents()[path], "run `make docs`"


def test_glossary_knows_every_state_and_role():
    text = (rules.ROOT / "docs" / "glossary.md").read_text()
    words = {state.value for table in generate.lifecycles() for state in table.states}
    words |= {role.value for role in Role} | {kind.value for kind in OrganisationKind}
    assert sorted(word for word in words if f"`{word}`" not in text) == []


def test_settings_are_documented():
    text = (rules.ROOT / "docs" / "installation.md").read_text()
    names = set(re.findall(r'"([A-Z][A-Z0-9_]{3,})"', (rules.ROOT / "marketplace" / "settings.py").read_text()))
    assert {"DATABASE_URL", "STRIPE_API_KEY"} <= names
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_links_in_documents_lead_somewhere():
    for path in [rules.ROOT / "README.md", *sorted((rules.ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_make_and_manage_know_the_same_commands():
    import manage

    targets = re.search(r"^TARGETS := (.*)$", (rules.ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert sorted(targets.group(1).split()) == sorted(manage.COMMANDS)


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_locks_have_hashes_and_no_address(lock):
    text = (rules.ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    pins = [line for line in text.splitlines() if "==" in line]
    assert pins
    assert all(line.endswith("\\") for line in pins), "every pin is followed by its hashes"


def test_compose_services_are_healthy_and_pinned():
    assert {"postgres", "valkey", "elasticsearch", "objects", "web", "worker", "beat"} <= set(COMPOSE["services"])
    for name, service in COMPOSE["services"].items():
        assert name in ONE_SHOT or "test" in service.get("healthcheck", {}) or "build" in service, (
            f"{name}: no health check"
        )
        image = service.get("image", "")
        assert re.search(r":[^:/]+$", image), f"{name}: image without a version"
        assert not image.endswith(":latest"), f"{name}: image without a version"
        for dependency in service.get("depends_on", {}):
            assert dependency in COMPOSE["services"]
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]


def test_compose_gives_the_product_its_settings_and_no_secret():
    given = COMPOSE["services"]["web"]["environment"]
    sample = dict.fromkeys(given, "A" * 43 + "=") | {"MAX_UPLOAD_BYTES": "1", "TRUSTED_PROXIES": "1"}
    sample |= {"FEED_URL": "", "STRIPE_CURRENCIES": ""}
    assert Settings.from_environment(sample).s3 is not None
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|_KEY$", name):
                assert str(value).startswith("${"), f"{name} is written into the file"


def test_image_runs_as_an_ordinary_user():
    text = (rules.ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] != "root"


def test_no_file_names_a_folder_of_one_machine():
    own = re.compile(r"[\"'` (=]/(?:work|root|home)/\w")
    assert own.search('FOLDER = Path("/root/data")')
    kept = [path for path in rules.ROOT.rglob("*") if path.suffix in {".py", ".md", ".toml", ".yml"} and path.is_file()]
    kept = [path for path in kept if not {".venv", "var", ".git"} & set(path.relative_to(rules.ROOT).parts)]
    assert len(kept) > 400
    found = [str(path.relative_to(rules.ROOT)) for path in kept if own.search(path.read_text())]
    assert found == ["tests/architecture/test_documents.py"], "only the line above may"
