"""Small defects, planted one at a time in a copy of the repository: do the tests of that room see each of them?

    python tests/faults/mutants.py [--count 206] [--only dalib/nn] [--match "1e-4"] [--list]

Two kinds: `PLANTED` are defects that tests once missed, word for word; the others are made from the syntax tree (an
operator, a comparison, a number, a condition, a call or a statement changed) and drawn by a hash of file, text and
place, so that an edit elsewhere does not draw others. Each is run against the tests of its own room only. Survivors are
printed; those of `EQUIVALENT` change nothing that anybody could see, and are not counted. Needs a system that can fork.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    ("dalib/nn/", ("tests/nn/test_{stem}.py", "tests/nn")),
    ("dalib/algorithms/", ("tests/algorithms/test_{stem}.py",)),
    ("dalib/report/select.py", ("tests/report/test_select.py", "tests/report/test_direction.py")),
    ("dalib/report/statistics/", ("tests/report/test_statistics.py", "tests/report/test_statistics_coverage.py")),
    ("dalib/metrics/", ("tests/metrics/test_{stem}.py", "tests/metrics")),
    ("dalib/scoring/", ("tests/scoring",)),
    ("dalib/protocols/", ("tests/protocols",)),
    (
        "dalib/train/engine.py",
        ("tests/train/test_engine.py", "tests/train/test_trainer.py", "tests/train/test_resume.py"),
    ),
    (
        "dalib/train/descent.py",
        ("tests/train/test_descent.py", "tests/train/test_trainer.py", "tests/train/test_resume.py"),
    ),
    ("dalib/train/optimiser.py", ("tests/train/test_train_optimiser.py",)),
    ("dalib/records/store.py", ("tests/records/test_store.py", "tests/core/test_files.py")),
    ("dalib/core/files.py", ("tests/core/test_files.py", "tests/records/test_store.py")),
)
"""Beginning of a file's path -> the tests of its room, those most likely to see a defect first."""
SHARES = {
    "dalib/nn/": 60,
    "dalib/algorithms/": 60,
    "dalib/report/select.py": 10,
    "dalib/report/statistics/": 20,
    "dalib/metrics/": 12,
    "dalib/scoring/": 10,
    "dalib/protocols/": 8,
    "dalib/train/": 16,
    "dalib/records/store.py": 6,
    "dalib/core/files.py": 4,
}
"""How many of every 206 generated defects each place gets."""

PLANTED: tuple[tuple[str, str, str], ...] = (
    ("dalib/report/select.py", "rankdata(-values,", "rankdata(values,"),
    ("dalib/report/select.py", 'free = not guard or rule == "oracle"', "free = not guard"),
    ("dalib/report/select.py", "_score(c, rule, scale)", "_score(c, rule, ACCURACY)"),
    ("dalib/metrics/_macro.py", "labels=np.unique(y)", "labels=np.unique(answer)"),
    ("dalib/algorithms/mdd.py", "warm_up(progress)", "1.0"),
    ("dalib/algorithms/cdan.py", "warm_up(progress)", "1.0"),
    ("dalib/algorithms/pada.py", "warm_up(progress)", "1.0"),
    ("dalib/algorithms/gvb.py", "warm_up(progress)", "1.0"),
    ("dalib/algorithms/shot.py", "centroid_labels(out.z, out.p)", "centroid_labels(out.z, out.p, 1)"),
    ("dalib/nn/centroids.py", "rounds: int = 2", "rounds: int = 1"),
    ("dalib/train/descent.py", "manual_seed(3 * seed + 2)", "manual_seed(2)"),
    (
        "dalib/records/store.py",
        "write_text(self.path(record.key), seal_json(record.model_dump_json(indent=1)))",
        "self.path(record.key).parent.mkdir(parents=True, exist_ok=True); "
        "self.path(record.key).write_text(seal_json(record.model_dump_json(indent=1)))",
    ),
    ("dalib/core/files.py", "os.fsync(file.fileno())", "pass"),
    ("dalib/core/files.py", "os.fsync(handle)", "pass"),
    ("dalib/train/optimiser.py", "nesterov=config.momentum > 0", "nesterov=False"),
)
"""(file, text, what stands in its place): each of them passed every test once."""

EQUIVALENT: tuple[tuple[str, str, str], ...] = (
    (
        "dalib/nn/quadratic.py",
        "(K @ x - kappa).abs().min().clamp",
        "where the iteration starts; the answer is held to its gap",
    ),
    (
        "dalib/nn/mixture.py",
        "((1) * (P.shape[1]))",
        "where the iteration starts; it is scaled to sum 1",
    ),
    (
        "dalib/nn/shrinkage.py",
        "(z.shape[0]) < (z.shape[1])",
        "both products of a square matrix have the same eigenvalues",
    ),
    (
        "dalib/nn/density_ratio.py",
        "h / (1 - v[:n_s] * h)\n",
        "a row's own share of H keeps v h below 1; the clamp is for rounding",
    ),
    (
        "dalib/nn/contrastive.py",
        "moved[:, :2]], 1)",
        "room for the rows that fall out; the end is cut off",
    ),
    (
        "dalib/algorithms/tca.py",
        "conditional=1.0",
        "the one iteration knows no labels of the target",
    ),
    (
        "dalib/algorithms/deep_jdot.py",
        "(z - (z).mean(0))",
        "a shift of both domains leaves every distance, and its gradient, as it was",
    ),
    (
        "dalib/algorithms/_labelled_target.py",
        "self.begun = torch.zeros((), device=self.network.device)",
        "a mark: that it is there is what counts",
    ),
    (
        "dalib/report/statistics/intervals.py",
        "((parts) * (largest))",
        "degrees of freedom do not depend on the unit of the parts",
    ),
    (
        "dalib/train/engine.py",
        "self.phase += 2",
        "a number that is only compared with others of its kind",
    ),
    (
        "dalib/records/store.py",
        "seal_json(record.model_dump_json(indent=2))",
        "blanks of a file that is read as JSON",
    ),
    (
        "dalib/records/store.py",
        "and len(lines) > 2 else",
        "an error of pydantic has three lines and more",
    ),
    (
        "dalib/report/select.py",
        "((-total) * (len(ENSEMBLE)))",
        "mean ranks are only compared with each other",
    ),
    (
        "dalib/scoring/metrics.py",
        "reject: float = 2.0",
        "no row is rejected at 1, nor above",
    ),
    (
        "dalib/scoring/diagnose.py",
        "index.to(fitted.device), (z).requires_grad_()",
        "a fitted network computes in float32 outside of training, so that z has it already",
    ),
    (
        "dalib/nn/discrepancy.py",
        "max(len(w) * (len(w) - 1), 2)",
        "two rows make 2, and one row a sum of 0",
    ),
)
"""(file, text that the defect brings about, why nobody can see it)."""


@dataclass(frozen=True)
class Mutant:
    """One defect: `before` at the bytes [start, end) of the file becomes `after`."""

    file: str
    line: int
    start: int
    end: int
    before: str
    after: str
    planted: bool = False

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}  {shorten(self.before)}  ->  {shorten(self.after)}"

    def source(self, original: bytes) -> bytes:
        return original[: self.start] + self.after.encode() + original[self.end :]

    @property
    def reason(self) -> str:
        """Why it is equivalent; empty if it is not known to be."""
        raw = (ROOT / self.file).read_bytes()
        spoilt = self.source(raw)
        known = ((text.encode(), why) for file, text, why in EQUIVALENT if file == self.file)
        return next((why for text, why in known if text in spoilt and text not in raw), "")


def shorten(text: str) -> str:
    words = re.sub(r"\s+", " ", text)
    return words if len(words) <= 70 else words[:67] + "…"


COMPARISONS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
ARITHMETIC = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.Pow: "*",
    ast.FloorDiv: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.Mod: "*",
}
NAMES = {
    "mean": "sum",
    "sum": "mean",
    "max": "min",
    "min": "max",
    "argmax": "argmin",
    "argmin": "argmax",
    "zeros": "ones",
    "ones": "zeros",
    "any": "all",
    "all": "any",
    "log_softmax": "softmax",
    "amax": "amin",
    "amin": "amax",
    "exp": "log",
    "zeros_like": "ones_like",
    "ones_like": "zeros_like",
    "softplus": "relu",
    "maximum": "minimum",
    "minimum": "maximum",
}
BUILT_IN = {"max", "min", "any", "all"}
DROPPED = {
    "detach",
    "abs",
    "sqrt",
    "square",
    "clamp",
    "clamp_min",
    "clip",
    "t",
    "float",
    "double",
    "reciprocal",
    "log",
    "softmax",
}
"""x.name(…) becomes x."""
UNSEEN = {"doc", "strict", "search", "maxsize", "words", "stacklevel"}
"""Arguments by these names change no number."""
FACTS = {"version", "VERSION", "family", "paper", "setting", "__all__"}


class Finder(ast.NodeVisitor):
    """Every defect that the operators make of one file."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.raw = file, source.encode()
        self.starts = [0]
        for line in self.raw.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.mutants: list[Mutant] = []

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Its bytes; columns of the tree count bytes."""
        first, last = node.lineno - 1, node.end_lineno - 1  # type: ignore[attr-defined]
        return self.starts[first] + node.col_offset, self.starts[last] + node.end_col_offset  # type: ignore[attr-defined]

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.raw[start:end].decode()

    def add(self, node: ast.AST, after: str) -> None:
        line: int = node.lineno  # type: ignore[attr-defined]
        self.mutants.append(Mutant(self.file, line, *self.span(node), self.text(node), after))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            self.visit(default)
        for part in node.body:
            self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in node.body:  # declarations are held by the tests of defaults, spaces and pages
            if not isinstance(part, ast.AnnAssign):
                self.visit(part)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(t, ast.Name) and t.id in FACTS for t in node.targets):
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        """For type checkers."""

    def visit_Raise(self, node: ast.Raise) -> None:
        """Messages are words."""

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            if not self.text(node).startswith("super()"):
                self.add(node, "pass")
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.add(node, "pass")
        self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if self.text(node.test) == "TYPE_CHECKING":
            return
        self.add(node.test, f"not ({self.text(node.test)})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.add(node.test, f"not ({self.text(node.test)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        words = any(isinstance(s, (ast.JoinedStr, ast.List, ast.Tuple)) or is_text(s) for s in (node.left, node.right))
        other = ARITHMETIC.get(type(node.op))
        if other and not words:
            self.add(node, f"(({self.text(node.left)}) {other} ({self.text(node.right)}))")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
            other = COMPARISONS[type(node.ops[0])]
            self.add(node, f"({self.text(node.left)}) {other} ({self.text(node.comparators[0])})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word = " and " if isinstance(node.op, ast.Or) else " or "
        self.add(node, "(" + word.join(f"({self.text(v)})" for v in node.values) + ")")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, (ast.USub, ast.Not)):
            self.add(node, f"({self.text(node.operand)})")
        if not isinstance(node.operand, ast.Constant):
            self.visit(node.operand)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, str(not node.value))
        elif isinstance(node.value, int):
            self.add(node, str(node.value + 1))
        elif isinstance(node.value, float):
            self.add(node, str(2 * node.value if node.value else 1.0))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Words."""

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        arguments = ", ".join(self.text(a) for a in (*node.args, *node.keywords))
        if name in NAMES and (isinstance(called, ast.Attribute) or name in BUILT_IN):
            before = f"{self.text(called.value)}." if isinstance(called, ast.Attribute) else ""
            self.add(node, f"{before}{NAMES[name]}({arguments})")
        if (
            name in DROPPED
            and isinstance(called, ast.Attribute)
            and self.text(called.value) not in ("torch", "np", "math")
        ):
            self.add(node, f"({self.text(called.value)})")
        if name == "isinstance":
            return
        self.visit(called)
        for a in node.args:
            self.visit(a)
        for keyword in node.keywords:
            if keyword.arg not in UNSEEN:
                self.visit(keyword.value)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def generated(file: str) -> list[Mutant]:
    source = (ROOT / file).read_text(encoding="utf-8")
    finder = Finder(file, source)
    finder.visit(ast.parse(source))
    return [m for m in finder.mutants if m.before != m.after]


def compiles(mutant: Mutant) -> bool:
    try:
        ast.parse(mutant.source((ROOT / mutant.file).read_bytes()))
    except SyntaxError:
        return False
    return True


def planted() -> list[Mutant]:
    """Raises ValueError where a text does not occur exactly once: it has to follow the code."""
    mutants = []
    for file, before, after in PLANTED:
        raw = (ROOT / file).read_bytes()
        if raw.count(before.encode()) != 1:
            raise ValueError(f"{file} holds {before!r} {raw.count(before.encode())} times; once is needed")
        start = raw.index(before.encode())
        mutants.append(
            Mutant(file, raw[:start].count(b"\n") + 1, start, start + len(before.encode()), before, after, True)
        )
    return mutants


def files_under(place: str) -> list[str]:
    path = ROOT / place
    listed = [path] if path.is_file() else sorted(path.glob("**/*.py"))
    return [
        p.relative_to(ROOT).as_posix()
        for p in listed
        if any(p.relative_to(ROOT).as_posix().startswith(b) for b, _ in TESTS)
    ]


def drawn(count: int, seed: str = "") -> list[Mutant]:
    """About `count` of the generated defects, each place with its share."""
    chosen: list[Mutant] = []
    for place, share in SHARES.items():
        pool = [m for file in files_under(place) for m in generated(file)]
        twins: dict[tuple[str, str, str], int] = {}
        order = []
        for m in pool:
            key = (m.file, m.before, m.after)
            twins[key] = twins.get(key, 0) + 1
            order.append((hashlib.sha256(repr((seed, *key, twins[key])).encode()).hexdigest(), m))
        order.sort(key=lambda entry: entry[0])
        whole = (m for _, m in order if compiles(m))
        chosen += itertools.islice(whole, round(share * count / sum(SHARES.values())))
    return chosen


def tests_of(file: str) -> list[str]:
    """Paths of tests, those to be run first in front; a shared part of algorithms is held by the tests of its users."""
    stem = Path(file).stem
    patterns = next(tests for begin, tests in TESTS if file.startswith(begin))
    if file.startswith("dalib/algorithms/_"):
        users = [
            p.stem
            for p in sorted((ROOT / "dalib/algorithms").glob("*.py"))
            if f"algorithms.{stem} import" in p.read_text()
        ]
        patterns = tuple(f"tests/algorithms/test_{user}.py" for user in users)
    found = [p.format(stem=stem) for p in patterns]
    if file.startswith("dalib/algorithms/"):
        parts = re.findall(r"from dalib\.algorithms\._(\w+) import", (ROOT / file).read_text(encoding="utf-8"))
        found += [f"tests/algorithms/test_{part}.py" for part in parts]
    return [p for p in found if (ROOT / p).exists()]


@contextlib.contextmanager
def copied() -> Iterator[Path]:
    """The repository's files as they are now, to be spoilt."""
    listed = (
        subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        .stdout.decode()
        .split("\0")
    )
    with tempfile.TemporaryDirectory(prefix="mutants") as folder:
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder) / name)
        yield Path(folder)


def run_tests(copy: Path, tests: Sequence[str], limit: float) -> str:
    """`passed`, `failed`, or `late` beyond the limit in seconds; in a fork, which finds the slow imports done."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setsid()
            os.chdir(copy)
            sys.path[:] = [
                str(copy),
                *(p for p in sys.path if Path(p or ".").resolve() not in (ROOT, ROOT / "tests/faults")),
            ]
            os.environ["PYTHONPATH"] = str(copy)
            for name in [n for n in sys.modules if n.partition(".")[0] in ("dalib", "tests")]:
                del sys.modules[name]
            sink = os.open(copy / "last_run.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            import pytest

            options = [
                "-x",
                "-q",
                "-n",
                "0",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:randomly",
                "-m",
                "not slow",
                "--rootdir",
                str(copy),
            ]
            status = int(pytest.main([*options, *tests]))
        finally:
            os._exit(status)
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in (4, 5, 99):
                raise RuntimeError(f"no test ran for {tests}: {(copy / 'last_run.txt').read_text()[-2000:]}")
            return "passed" if code == 0 else "failed"
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "late"


def survives(copy: Path, mutant: Mutant, limit: float) -> bool:
    target = copy / mutant.file
    original = target.read_bytes()
    try:
        target.write_bytes(mutant.source(original))
        shutil.rmtree(
            target.parent / "__pycache__", ignore_errors=True
        )  # a new file of the same size and second looks old
        return all(run_tests(copy, [tests], limit) == "passed" for tests in tests_of(mutant.file))
    finally:
        target.write_bytes(original)
        shutil.rmtree(target.parent / "__pycache__", ignore_errors=True)


def warm_imports() -> None:
    """What every run of tests loads anyway; not dalib, which each of them reads anew."""
    import importlib

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in (
        "torch",
        "torchvision",
        "numpy",
        "scipy.stats",
        "scipy.optimize",
        "sklearn.metrics",
        "sklearn.svm",
        "pandas",
        "ot",
        "pytest",
        "pydantic",
        "typer",
        "rich",
        "PIL.Image",
        "safetensors.torch",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def hunt(mutants: Sequence[Mutant], limit: float = 300.0, show: bool = True) -> list[Mutant]:
    """Those that pass the tests of their room, known equivalents left out."""
    warm_imports()
    survivors = []
    with copied() as copy:
        sound: set[str] = set()
        for i, mutant in enumerate(mutants):
            for tests in set(tests_of(mutant.file)) - sound:
                if run_tests(copy, [tests], limit) != "passed":
                    raise RuntimeError(
                        f"{tests} fails without any defect: {(copy / 'last_run.txt').read_text()[-2000:]}"
                    )
                sound.add(tests)
            start = time.monotonic()
            alive = survives(copy, mutant, limit)
            word = ("equivalent" if mutant.reason else "SURVIVED") if alive else "killed"
            if show:
                print(
                    f"{i + 1:4d}/{len(mutants)} {word:10s} {time.monotonic() - start:5.1f} s  {mutant.name}", flush=True
                )
            if alive and not mutant.reason:
                survivors.append(mutant)
    return survivors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=206, help="how many generated defects")
    parser.add_argument("--seed", default="", help="draws others")
    parser.add_argument("--only", default="", help="beginning of the files' paths")
    parser.add_argument("--match", default="", help="text in their lines as printed")
    parser.add_argument("--list", action="store_true", help="print them and run nothing")
    parser.add_argument("--planted", action="store_true", help="the planted ones alone")
    parser.add_argument("--limit", type=float, default=300, help="seconds for one run of tests")
    given = parser.parse_args()
    mutants = [
        m
        for m in (*planted(), *([] if given.planted else drawn(given.count, given.seed)))
        if m.file.startswith(given.only) and given.match in m.name
    ]
    if given.list:
        print(*(m.name for m in mutants), sep="\n")
        return 0
    survivors = hunt(mutants, given.limit)
    counted = len(mutants) - sum(bool(m.reason) for m in mutants)
    share = 100 * len(survivors) / max(counted, 1)
    print(
        f"{len(mutants)} defects, {counted - len(survivors)} seen, {len(mutants) - counted} equivalent, "
        f"{len(survivors)} survive ({share:.1f} %)"
    )
    print(*(f"  {m.name}" for m in survivors), sep="\n")
    return int(share > 3)


if __name__ == "__main__":
    sys.exit(main())
