"""What the product's code may not hold, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "cache", "client", "deploy", "jobs", "worker")
SOURCES = sorted([*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))])
# What makes objects, or programs, out of bytes.
LOADERS = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle", "imp"})
CALLS = frozenset({
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load",
    "tempfile.mktemp", "subprocess.getoutput", "pandas.read_pickle", "ssl._create_unverified_context",
})  # fmt: skip
SAID = {
    "shell": True,
    "allow_pickle": True,
    "weights_only": False,
    "verify": False,
    "trust_remote_code": True,
    "debug": True,
}
SECRET_WORDS = ("key", "token", "secret", "signature", "digest", "password")


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def faults_in(tree: ast.AST) -> list[str]:
    """What stands in a tree that must not."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle" and node.attr != "dumps":
            found.append(f"uses pickle.{node.attr}")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"imports {name}" for name in names if name.split(".")[0] in LOADERS]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found += [f"calls {name}"] if name in CALLS else []
            found += [
                f"says {word.arg}={word.value.value}"
                for word in node.keywords
                if isinstance(word.value, ast.Constant) and word.arg in SAID and word.value.value is SAID[word.arg]
            ]
            if name == "torch.load" and not any(word.arg == "weights_only" for word in node.keywords):
                found.append("calls torch.load without weights_only")
    return found


BAD = (
    "import pickle", "pickle.loads(x)", "from marshal import loads", "eval(text)", "yaml.load(text)", "torch.load(x)",
    "subprocess.run(x, shell=True)", "np.load(x, allow_pickle=True)", "torch.load(x, weights_only=False)",
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_the_search_finds_what_it_looks_for(bad: str) -> None:
    assert faults_in(ast.parse(bad))


def test_nothing_makes_objects_or_programs_out_of_bytes() -> None:
    found = {(str(path), fault) for path, tree in trees() for fault in faults_in(tree)}
    # It writes one, to hash it, and reads none.
    assert found <= {("cache/argument_keys.py", "imports pickle")}


def test_secrets_are_not_compared_with_equals() -> None:
    found = set()
    for path, tree in trees():
        if str(path) not in ("api/auth.py", "api/signatures.py"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In):
                words = [ast.unparse(side).lower() for side in (node.left, *node.comparators)]
                if all(any(secret in word for secret in SECRET_WORDS) for word in words):
                    found.add(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert not found


def test_every_key_is_compared_in_constant_time_whatever_came_before() -> None:
    tree = ast.parse((ROOT / "api" / "auth.py").read_text())
    (loop,) = [node for node in ast.walk(tree) if isinstance(node, ast.For) and "compare_digest" in ast.unparse(node)]
    leaves = [node for node in ast.walk(loop) if isinstance(node, ast.Return | ast.Break | ast.Continue)]
    assert not leaves, "a loop that ends at the right key tells by its time which one that was"


def test_no_secret_is_written_into_the_tree() -> None:
    marks = ("-----BEGIN", "whsec_", "AKIA", "ghp_", "xoxb-")
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
                long = any(node.value.startswith(mark) and len(node.value) > len(mark) + 12 for mark in marks)
                assert not long or "`" in node.value, f"{path}:{node.lineno}"
