"""The rules of the house that a machine can check on the syntax tree: each takes a module and yields what breaks it.

`tests/architecture/test_rules.py` runs them over the product and, so that a check that cannot fail is noticed, over a
deliberate violation each.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("marketplace", "collection", "valuation", "due_diligence", "auctions", "settlement", "console")
DOORS: Final = ("wsgi.py", "worker.py", "live.py", "manage.py", "marketplace/launch.py", "marketplace/embedded.py")
EDGES: Final = (
    "marketplace/http.py", "marketplace/aio.py", "marketplace/tasks.py", "marketplace/outbox.py",
    "marketplace/jobs.py", "marketplace/errands.py", "marketplace/db.py", "marketplace/direct.py",
)  # fmt: skip
FORBIDDEN_IN_DOMAIN: Final = {
    "flask",
    "flask_smorest",
    "sqlalchemy",
    "celery",
    "marshmallow",
    "webargs",
    "psycopg",
    "redis",
}
EMPTY_NAMES: Final = {"utils", "helpers", "common", "managers", "repositories", "interfaces", "dto", "misc"}


@dataclass(frozen=True)
class Source:
    """A module of the product: its path inside the repository, its text and its tree."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def in_domain(self) -> bool:
        parts = Path(self.path).with_suffix("").parts
        return "domain" in parts


Rule = Callable[[Source], Iterator[str]]


def sources() -> list[Source]:
    """Every module of the product and its doors."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    paths += [ROOT / "wsgi.py", ROOT / "worker.py", ROOT / "live.py"]
    return [Source(str(path.relative_to(ROOT)), path.read_text()) for path in paths]


def _calls(source: Source) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def only_the_edge_commits(source: Source) -> Iterator[str]:
    if source.path in EDGES:
        return
    for node, name in _calls(source):
        last = name.rsplit(".", 1)[-1]
        owner = name.rsplit(".", 1)[0] if "." in name else ""
        if last in {"commit", "rollback"} or (last in {"begin", "sessions"} and "session" in f"{owner}.{last}"):
            yield f"{source.path}:{node.lineno} {name}(): only the edge commits, rolls back or opens a session"
        if last in {"Session", "sessionmaker"} and "mapped" not in name:
            yield f"{source.path}:{node.lineno} {name}(): sessions come from the edge"


def only_settings_read_the_environment(source: Source) -> Iterator[str]:
    if source.path in {*DOORS, "marketplace/settings.py"}:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}:
            yield f"{source.path}:{node.lineno} {ast.unparse(node)}: settings are read once, in marketplace.settings"


def the_clock_is_read_at_the_edge(source: Source) -> Iterator[str]:
    if source.path in {*DOORS, "marketplace/clock.py"}:
        return
    for node, name in _calls(source):
        if name in {
            "datetime.now",
            "datetime.utcnow",
            "datetime.today",
            "date.today",
            "time.time",
            "datetime.datetime.now",
        }:
            yield f"{source.path}:{node.lineno} {name}(): time comes as `at`"


def one_function_writes_a_state(source: Source) -> Iterator[str]:
    if source.path == "marketplace/audit.py":
        return
    for node in ast.walk(source.tree):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Attribute) and target.attr == "state" and ast.unparse(target.value) != "self":
                yield f"{source.path}:{node.lineno} {ast.unparse(target)} = …: use audit.transition"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".values"):
            for keyword in node.keywords:
                if keyword.arg == "state" and "insert" not in ast.unparse(node.func):
                    yield f"{source.path}:{node.lineno} .values(state=…): use audit.transition_all"


def domains_are_pure(source: Source) -> Iterator[str]:
    if not source.in_domain:
        return
    for node in ast.walk(source.tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.split(".")[0] in FORBIDDEN_IN_DOMAIN:
                yield f"{source.path}:{node.lineno} imports {name}: a domain is pure"


def no_relationship(source: Source) -> Iterator[str]:
    for node, name in _calls(source):
        if name.split(".")[-1] == "relationship":
            yield f"{source.path}:{node.lineno} relationship(): ids cross boundaries, objects do not"


def services_take_keywords(source: Source) -> Iterator[str]:
    """A public function that takes a session takes it first and everything else by keyword."""
    if source.path in {*EDGES, "marketplace/audit.py"}:
        return
    for node in source.tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        positional = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        allowed = _allowed(positional)
        if "session" in positional and (positional[0] != "session" or len(positional) > allowed):
            shown = f"{node.name}({', '.join(positional)})"
            yield f"{source.path}:{node.lineno} {shown}: session first, the rest by keyword"


def _allowed(positional: list[str]) -> int:
    """One more positional argument, the row or id that the name speaks of; handlers have a form of their own."""
    forms = (["session", "payload", "at"], ["session", "at"], ["session", "arguments", "progress", "at"])
    return len(positional) if positional in forms else 2


def no_empty_names(source: Source) -> Iterator[str]:
    for part in Path(source.path).with_suffix("").parts:
        if part in EMPTY_NAMES:
            yield f"{source.path}: {part} says nothing about what is in it"


def silenced_checks_say_why(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        _, mark, rest = line.partition("# noqa")
        if mark and " - " not in rest:
            yield f"{source.path}:{number} noqa without a reason"
        _, mark, rest = line.partition("# type: ignore[")
        if mark and "  # " not in rest and " - " not in rest:
            yield f"{source.path}:{number} type: ignore without a reason"


def money_is_never_a_float(source: Source) -> Iterator[str]:
    """No float literal and no float() where money is computed."""
    money = (
        source.path.startswith(("settlement/", "auctions/"))
        or source.in_domain
        or source.path == "marketplace/money.py"
    )
    if not money:
        return
    for node in ast.walk(source.tree):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        if literal or (isinstance(node, ast.Call) and ast.unparse(node.func) == "float"):
            line = source.text.splitlines()[node.lineno - 1]
            if "no money" not in line:
                yield f"{source.path}:{node.lineno} a float near money (say `# no money: …` where it is none)"


RULES: Final[tuple[Rule, ...]] = (
    only_the_edge_commits,
    only_settings_read_the_environment,
    the_clock_is_read_at_the_edge,
    one_function_writes_a_state,
    domains_are_pure,
    no_relationship,
    services_take_keywords,
    no_empty_names,
    silenced_checks_say_why,
    money_is_never_a_float,
)
