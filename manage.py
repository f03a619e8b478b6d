"""One door for people: install, run, stop, test and look after the product. Standard library only until installed.

`python3 manage.py run` and `make run` are the same; every command makes its environment (.venv) first.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
LEAST = (3, 11)


def install(lock: str) -> None:
    """Make or refresh the environment from a lock file with hashes; nothing happens when it is current."""
    if sys.version_info < LEAST:
        sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0])
    content = (ROOT / lock).read_bytes()
    marker = ENVIRONMENT / f".installed-{lock}"
    digest = hashlib.sha256(content).hexdigest()
    if marker.exists() and marker.read_text() == digest and _works(PYTHON):
        return
    print(f"installing {lock} into .venv …", flush=True)
    if not _works(PYTHON):
        _call([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], "is python3-venv installed?")
    if not _works(ENVIRONMENT / "bin" / "uv"):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(_uv_alone(content.decode()))
            file.flush()
            _pip(file.name)
    if _works(ENVIRONMENT / "bin" / "uv"):
        # compiled once here: else each of the dozen processes of a first start compiles SQLAlchemy for itself
        uv = [
            str(ENVIRONMENT / "bin" / "uv"),
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            str(PYTHON),
        ]
        _call([*uv, "--require-hashes", "-r", str(ROOT / lock)], "is a package index reachable?")
    else:
        _pip(str(ROOT / lock))
    marker.write_text(digest)


def _works(program: Path) -> bool:
    try:
        return subprocess.run([str(program), "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _pip(requirements: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    _call([*command, "-r", requirements], "is a package index reachable?")


def _uv_alone(lock: str) -> str:
    """Cut the pinned installer out of the lock."""
    lines = lock.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    end = next(number for number in range(start, len(lines)) if not lines[number].endswith("\\"))
    return "\n".join(lines[start : end + 1]) + "\n"


def _call(command: list[str], hint: str) -> None:
    if subprocess.run(command, check=False, cwd=ROOT).returncode:
        sys.exit(f"failed: {' '.join(command[:4])} … ({hint})")


def _do(*command: str, **environment: str) -> None:
    """Run a command of the environment; leave with its exit code if it fails."""
    path = f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    code = subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, "PATH": path, **environment}).returncode
    if code:
        sys.exit(code)


def run(arguments: list[str]) -> None:
    """Start the whole product, play its main job when the database is empty, and stay up."""
    install("requirements.txt")
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "marketplace.launch", *arguments])


def stop(_: list[str]) -> None:
    """Stop what `run` started in this folder."""
    install("requirements.txt")
    _do(str(PYTHON), "-m", "marketplace.launch", "stop")


def test(arguments: list[str]) -> None:
    """Install and pass every check: lint, types, import contracts, the whole suite."""
    lint([])
    types([])
    _pytest(*arguments)


def test_fast(arguments: list[str]) -> None:
    """The tests that take no processes and no seconds."""
    install("requirements-dev.txt")
    _pytest("-m", "not slow", *arguments)


def _pytest(*arguments: str) -> None:
    """Run tests; what Python compiled is kept whatever the surroundings say: the suite starts a hundred processes."""
    _do(str(PYTHON), "-m", "pytest", "-n", "2", *arguments, PYTHONDONTWRITEBYTECODE="")


def lint(_: list[str]) -> None:
    """Style and import contracts."""
    install("requirements-dev.txt")
    _do("ruff", "check", ".")
    _do("ruff", "format", "--check", ".")
    _do("lint-imports", "--no-cache")


def types(_: list[str]) -> None:
    """Static types, strict."""
    install("requirements-dev.txt")
    _do("mypy")


def migrate(arguments: list[str]) -> None:
    """Bring the database that DATABASE_URL names to the newest schema."""
    install("requirements.txt")
    _do(str(PYTHON), "-m", "alembic", "upgrade", *(arguments or ["head"]))


def worker(_: list[str]) -> None:
    """Run one Celery worker for all queues against DATABASE_URL and REDIS_URL."""
    install("requirements.txt")
    _do(str(PYTHON), "-m", "celery", "-A", "worker", "worker", "-Q", "celery,jobs", "-c", "4", "-P", "threads")


def bench(arguments: list[str]) -> None:
    """Run the benchmarks: ours, a naive peer and the physical limit, as ratios."""
    install("requirements-dev.txt")
    for program in arguments or sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")):
        if not program.startswith("_") and not program.endswith("_peer"):
            _do(str(PYTHON), "-m", f"benchmarks.{program}")


def docs(_: list[str]) -> None:
    """Write the generated documents: state diagrams, OpenAPI, settings."""
    install("requirements-dev.txt")
    _do(str(PYTHON), "-m", "docs.generate")


def lock(_: list[str]) -> None:
    """Resolve requirements*.in anew into the lock files (hashes, no address of any index)."""
    install("requirements-dev.txt")
    base = ["uv", "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--generate-hashes",
            "--no-emit-index-url", "--no-header", "--no-annotate"]  # fmt: skip
    _do(*base, "requirements.in", "-o", "requirements.txt")
    _do(*base, "requirements.in", "requirements-dev.in", "-o", "requirements-dev.txt")


def help_(_: list[str]) -> None:
    """Show this list."""
    for name, command in COMMANDS.items():
        print(f"  {name:10} {(command.__doc__ or '').splitlines()[0]}")


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "help": help_, "run": run, "stop": stop, "test": test, "test-fast": test_fast, "lint": lint, "types": types,
    "migrate": migrate, "worker": worker, "bench": bench, "docs": docs, "lock": lock,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Do one command."""
    name = arguments[0] if arguments else "help"
    if name not in COMMANDS:
        help_([])
        sys.exit(f"unknown command: {name}")
    COMMANDS[name](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
