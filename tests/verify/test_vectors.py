"""The test vectors: they are proved, written the same each time, readable without Python, and they tell right from wrong."""

import json
import math
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hsproj
from hsproj_verify import Target, vectors
from hsproj_verify.cli import main
from hsproj_verify.isolation import Recipe
from hsproj_verify.oracles import exact
from hsproj_verify.report import Outcome
from hsproj_verify.vectors import Vector
from hsproj_verify.vectors._check import faults, is_nearest
from hsproj_verify.vectors._judge import judge, other_vjps
from right import RIGHT

FILES = sorted(vectors.FOLDER.glob("*.json"))
ALL = tuple(vectors.load())


def test_the_committed_files_are_the_ones_that_are_written(tmp_path: Path) -> None:
    assert main(["vectors", "--write", str(tmp_path)]) == 0
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in FILES}


def test_every_committed_vector_is_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", "--check"]) == 0
    assert f"{len(ALL)} vectors in {len(FILES)} groups: all proved" in capsys.readouterr().out


def test_there_are_enough_of_each_kind_and_few_megabytes() -> None:
    assert len(ALL) >= 900
    assert len({vector.id for vector in ALL}) == len(ALL)
    assert min(Counter(vector.group for vector in ALL).values()) >= 25
    flags = Counter(flag for vector in ALL for flag in vector.flags)
    assert set(flags) == set(vectors.FLAGS)
    assert sum(path.stat().st_size for path in FILES) < 3e6


def _vector(name: str) -> Vector:
    return next(vector for vector in ALL if vector.id == name)


# x = (5, 5, 0, 0), k = 2: p = (1, 1, 0, 0), all theta in [0, 4].
VERTEX = _vector("saturated-ties-631c2049")
INVALID = next(vector for vector in ALL if vector.result == "invalid")
FREE = next(v for v in ALL if v.comment.startswith("Drawn") and sum(v.free or ()) > 2)


@pytest.mark.parametrize(
    ("vector", "changes", "fault"),
    [
        (VERTEX, {"x": (5.0, 5.0, 0.0, 0.25)}, "the id is not that of the inputs"),
        (VERTEX, {"result": "invalid"}, "invalid, but it has an answer"),
        (INVALID, {"result": "valid"}, "valid, but k lies outside [0, n]"),
        (INVALID, {"p": (Fraction(1),) * 3}, "invalid, but it comes with an answer"),
        (VERTEX, {"flags": ()}, "its flags are ['Vertex'], not []"),
        (VERTEX, {"p": (Fraction(1),) * 3}, "not one entry a score: p"),
        (VERTEX, {"p": (Fraction(2), Fraction(0), Fraction(0), Fraction(0))}, "p is not feasible"),
        (VERTEX, {"p": (Fraction(1),) * 4}, "p is not feasible"),
        (VERTEX, {"p": (Fraction(1), Fraction(0), Fraction(1), Fraction(0))}, "no theta explains p"),
        (VERTEX, {"p": (Fraction(1), Fraction(1, 2), Fraction(1, 2), Fraction(0))}, "no theta explains p"),
        (VERTEX, {"threshold": (Fraction(0), Fraction(3))}, "threshold is not the interval of all thetas"),
        (VERTEX, {"threshold": (None, Fraction(4))}, "threshold is not the interval of all thetas"),
        (VERTEX, {"free": (True, False, False, False)}, "free is wrong"),
        (VERTEX, {"lower_kinks": (False, False, True, False)}, "lower_kinks is wrong"),
        (
            VERTEX,
            {"vjp": (Fraction(1, 2), Fraction(-1, 2), Fraction(0), Fraction(0))},
            "vjp is not that of the free set",
        ),
        (FREE, {"vjp": tuple(2 * v for v in FREE.vjp or ())}, "vjp is not that of the free set"),
        (FREE, {"p_float32": FREE.p_float64}, "p_float32 is not p, correctly rounded"),
        (
            FREE,
            {"vjp_float64": tuple(math.nextafter(v, 2.0) for v in FREE.vjp_float64 or ())},
            "vjp_float64 is not vjp, correctly rounded",
        ),
    ],
)
def test_whatever_is_wrong_about_a_vector_is_found(vector: Vector, changes: dict[str, Any], fault: str) -> None:
    assert not list(faults(vector))
    assert fault in list(faults(replace(vector, **changes)))


def test_a_float_is_the_nearest_by_its_neighbours() -> None:
    half = Fraction(1, 2) + Fraction(1, 2**54)  # the midpoint of 1/2 and the next float
    assert is_nearest(0.5, half, "float64")  # to even
    assert not is_nearest(0.5 + 2.0**-53, half, "float64")
    assert is_nearest(0.5 + 2.0**-53, half + Fraction(1, 2**200), "float64")
    assert not is_nearest(0.5, half + Fraction(1, 2**200), "float64")
    assert not is_nearest(0.1, Fraction(1, 10), "float32")  # no float32 at all
    largest = Fraction(float(np.finfo(np.float32).max))
    step = Fraction(2**104)
    assert is_nearest(float(largest), largest + step / 2 - 1, "float32")
    assert is_nearest(math.inf, largest + step / 2, "float32")
    assert not is_nearest(float(largest), largest + step / 2, "float32")
    assert not is_nearest(-math.inf, largest * 2, "float32")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda text: text.replace('"k": "0x1p+1"', '"k": 2', 1), "is not of type 'string'"),
        (lambda text: text.replace('"0x1.4p+2"', '"5.0"', 1), "does not match"),
        (lambda text: text.replace('    "k"', '    "total"', 1), "'k' is a required property"),
        (lambda text: json.dumps(json.loads(text)), "is not laid out as the format says"),
        (lambda text: text.replace('"p": ["1/1"', '"p": ["2/2"', 1), "is not laid out as the format says"),
        (lambda text: text.replace('"count": 45', '"count": 44'), "says count 44 and holds 45"),
        (lambda text: text.replace('"group": "saturated-ties"', '"group": "ties"'), "holds the group ties"),
        (lambda text: text[:-4], "not JSON"),
    ],
)
def test_whatever_is_wrong_about_a_file_is_found(
    change: Callable[[str], str], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (vectors.FOLDER / "saturated-ties.json").read_text(encoding="utf-8")
    assert change(text) != text
    (tmp_path / "saturated-ties.json").write_text(change(text), encoding="utf-8")
    assert main(["vectors", "--check", str(tmp_path)]) == 1
    assert fault in capsys.readouterr().out


def test_an_id_in_two_files_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ties", "twice"):
        shutil.copy(vectors.FOLDER / "ties.json", tmp_path / f"{name}.json")
    assert main(["vectors", "--check", str(tmp_path)]) == 1
    assert f"{next(vectors.load('ties')).id} is also in ties.json" in capsys.readouterr().out


def test_hsproj_gives_the_nearest_float_and_the_exact_vjp_on_every_vector() -> None:
    target = Target("hsproj", hsproj.soft_binary_argmax, hsproj.vjp).claiming("rounded")
    verdicts = list(judge(Recipe(target), ALL, tolerance=0.5))
    assert [v.vector.id for v in verdicts if v.result.outcome is Outcome.FAILED] == []
    assert {v.result.reason for v in verdicts if v.result.outcome is Outcome.SKIPPED} == {
        "EmptyRow: nothing to differentiate",
        "VjpOverflow: beyond the largest float",
    }


# Where zeros and ones meet at a single theta, bisection stops beside it and finds the zeros free among themselves, as entmax
# does: tiny entries whose total is 0 have nothing to exchange.
BESIDE_THETA = {"bisection": {"kinks-c51cc415 vjp", "kinks-68445778 vjp"}}


@pytest.mark.parametrize("name", list(RIGHT))
def test_right_implementations_of_different_construction_pass_moderate_vectors(name: str) -> None:
    verdicts = list(judge(Recipe(RIGHT[name].without("offsets")), ALL))
    failed = {f"{v.vector.id} {v.function}" for v in verdicts if v.result.outcome is Outcome.FAILED}
    assert failed == BESIDE_THETA.get(name, set())
    assert sum(v.result.outcome is Outcome.PASSED for v in verdicts) > 1200


def _counts(target: Target, *groups: str) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {"passed": Counter(), "failed": Counter(), "skipped": Counter()}
    for verdict in judge(Recipe(target), vectors.load(*groups)):
        counts[verdict.result.outcome.value][f"{verdict.vector.group} {verdict.function}"] += 1
    return counts


def _rational(x: np.ndarray, k: float, *, temperature: float = 1.0) -> np.ndarray:
    return exact.solve(x.tolist(), k, temperature).nearest(x.dtype)


def _rational_vjp(x: np.ndarray, k: float, g: np.ndarray, *, temperature: float = 1.0, kinks: bool = False) -> Any:
    """With the kinks as free entries, or not: both are right."""
    solution = exact.solve(x.tolist(), k, temperature)
    free = {*solution.free, *(solution.lower_kinks + solution.upper_kinks if kinks else ())}
    mean = sum(Fraction(float(g[i])) for i in free) / max(len(free), 1)
    tau = Fraction(temperature)
    return np.array([float((Fraction(float(g[i])) - mean) / tau) if i in free else 0.0 for i in range(len(g))])


def _with_tied_blocks(x: np.ndarray, k: float, g: np.ndarray) -> np.ndarray:
    """As PAV codes differentiate: each block of equal p is taken for free, saturated or not."""
    p = _rational(x, k)
    return np.array([g[i] - g[p == p[i]].mean() for i in range(len(g))])


def _total_as_int(x: np.ndarray, k: float, *, temperature: float = 1.0) -> np.ndarray:
    return _rational(x, int(k), temperature=temperature)


def _theta_in_a_float(x: np.ndarray, k: float, *, temperature: float = 1.0) -> np.ndarray:
    theta = exact.solve(x.tolist(), k, temperature).threshold
    return np.clip((x - float(theta)) / temperature, 0, 1)


def _at_half_the_scores(x: np.ndarray, k: float, *, temperature: float = 1.0) -> np.ndarray:
    return _rational(x, k, temperature=2 * temperature)


def _nan_sorted_away(x: np.ndarray, k: float, *, temperature: float = 1.0) -> np.ndarray:
    return _rational(np.nan_to_num(x, nan=0.0), min(max(k, 0), len(x)), temperature=abs(temperature) or 1.0)


@pytest.mark.parametrize(
    ("project", "group", "least"),
    [
        (_total_as_int, "real-k", 30),
        (_theta_in_a_float, "offsets", 20),
        (_at_half_the_scores, "ordinary", 30),
        (_nan_sorted_away, "invalid", 20),
    ],
)
def test_wrong_projections_fail_in_the_group_made_for_them(project: Callable[..., Any], group: str, least: int) -> None:
    failed = _counts(Target("wrong", project), group)["failed"]
    assert failed[f"{group} project"] >= least


def test_blocks_of_tied_saturated_scores_fail_and_either_choice_at_a_kink_passes() -> None:
    failed = _counts(Target("blocks", _rational, _with_tied_blocks), "saturated-ties", "vertices")["failed"]
    assert failed["saturated-ties vjp"] > 10
    assert failed["vertices vjp"] > 10
    for kinks in (False, True):

        def vjp(x: np.ndarray, k: float, g: np.ndarray, temperature: float = 1.0, kinks: bool = kinks) -> Any:
            return _rational_vjp(x, k, g, temperature=temperature, kinks=kinks)

        target = Target("kinks", _rational, vjp)
        assert not _counts(target, "kinks", "derivative")["failed"], f"with kinks free: {kinks}"


def test_a_mean_of_right_derivatives_at_a_kink_is_right_too() -> None:
    def halfway(x: np.ndarray, k: float, g: np.ndarray, temperature: float = 1.0) -> Any:
        return sum(_rational_vjp(x, k, g, temperature=temperature, kinks=kinks) for kinks in (False, True)) / 2

    assert not _counts(Target("halfway", _rational, halfway), "kinks")["failed"]


def test_a_target_of_one_total_is_judged_on_the_vectors_that_have_it() -> None:
    sparsemax = Target("sparsemax", lambda x: _rational(x, 1), fixed_k=1)
    verdicts = list(judge(Recipe(sparsemax), ALL))
    assert all(v.result.outcome is not Outcome.FAILED for v in verdicts)
    judged = [v.vector for v in verdicts if v.result.outcome is Outcome.PASSED]
    assert {v.k for v in judged} == {1}
    assert len(judged) > 50


def test_the_command_is_told_of_one_total_and_of_another_constraint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import numpy as np\ndef half(x):\n    return np.clip(np.full(x.shape, 1.5 / x.size), 0, 1)\n")
    assert main(["vectors", f"{path}:half", "--fixed-k", "1.5"]) == 1
    assert "k is 1.5, always" in capsys.readouterr().out
    assert main(["vectors", f"{path}:half", "--fixed-k", "1.5", "--constraint", "le"]) == 1
    assert "0 failed" in (out := capsys.readouterr().out)
    assert "skipped" in out
    assert "equality not claimed" in out


def test_ones_at_a_kink_have_nothing_to_exchange_among_themselves() -> None:
    # x = (2, 2, 1, 1), k = 2: ones are about to leave 1 and zeros to leave 0; two ones can't leave together.
    kink = next(v for v in vectors.load("kinks") if v.x == (2.0, 2.0, 1.0, 1.0))
    free_sets = {
        tuple(v != 0 for v in vjp) for vjp in other_vjps(replace(kink, cotangent=(1.0, 2.0, 4.0, 8.0)), [True] * 4)
    }
    assert (True, True, False, False) not in free_sets
    assert (False, False, True, True) not in free_sets
    assert (True, False, True, False) in free_sets
    assert (False, False, False, False) in free_sets


def test_what_is_not_claimed_is_skipped_with_the_reason() -> None:
    target = Target("narrow", lambda x, k: _rational(x, k)).without(
        "infinities", "real-k", "float32", "errors", "offsets"
    )
    verdicts = list(judge(Recipe(target), ALL))
    assert all(v.result.outcome is not Outcome.FAILED for v in verdicts)
    reasons = Counter(v.result.reason.partition(" ")[0] for v in verdicts if v.result.outcome is Outcome.SKIPPED)
    assert set(reasons) == {"infinities", "real-k", "float32", "errors", "offsets", "temperature"}
    passed = [v.vector for v in verdicts if v.result.outcome is Outcome.PASSED]
    assert len(passed) > 300
    assert not any({"Infinities", "RealK", "Temperature", "Magnitude"} & {*v.flags} for v in passed)


def test_the_command_shows_failing_vectors_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import numpy as np\ndef project(x, k): return np.full(x.shape, k / max(x.size, 1))\n")
    assert main(["vectors", f"{path}:project", "--group", "saturated-ties"]) == 1
    out = capsys.readouterr().out
    assert "saturated-ties-631c2049 / project: off by" in out
    assert "# J = 0. PAV codes take tied saturated scores for a block and return +-0.5." in out
    assert "# exact: [1, 1, 0, 0]" in out
    assert "FAIL" in out


def test_the_command_passes_a_right_target_and_lists_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", "hsproj:soft_binary_argmax", "--group", "ties", "--group", "long"]) == 0
    assert "hsproj:soft_binary_argmax: PASS (75 passed, 0 failed, 0 skipped)" in capsys.readouterr().out
    assert main(["vectors"]) == 0
    assert f"{len(ALL)} in all" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--group", "no-such"], "no group no-such"),
        (["hsproj:project", "--check"], "three different things"),
        (["--check", "no/such/folder"], "no such folder"),
        (["--write", "/dev/null/folder"], "can't write into"),
        (["hsproj:project", "--tolerance", "nan"], "positive and finite"),
        (["hsproj:project", "--timeout", "0"], "timeout must be positive"),
        (["hsproj:no_such"], "no 'no_such'"),
    ],
)
def test_a_wrong_call_exits_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_run_in_which_nothing_is_judged_fails() -> None:
    assert main(["vectors", "hsproj:project", "--group", "invalid", "--without", "errors"]) == 1


RUNNER = Path(__file__).parents[1] / "support" / "vectors_runner.c"


def _run_in_c(folder: Path, bug: int) -> tuple[str, Counter[str]]:
    """The last line of the C runner, and the groups of the vectors that it says failed."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc to compile the runner with")
    program = folder / f"runner-{bug}"
    command = [compiler, "-O1", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", f"-DBUG={bug}"]
    built = subprocess.run([*command, RUNNER, "-o", program, "-lm"], capture_output=True, text=True, check=False)
    if "needs a long double that is wider" in built.stderr:
        pytest.skip("long double is no wider than double here")
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program, *FILES], capture_output=True, text=True, check=False)
    *failed, counts = ran.stdout.splitlines()
    assert ran.returncode == (1 if failed else 0)
    return counts, Counter(line.removesuffix(" failed").rpartition("-")[0] for line in failed)


def test_a_hundred_lines_of_c_pass_every_vector(tmp_path: Path) -> None:
    assert len(RUNNER.read_text(encoding="utf-8").splitlines()) < 100
    assert _run_in_c(tmp_path, 0) == (f"{len(ALL)} passed, 0 failed, 0 skipped", Counter())


@pytest.mark.parametrize(
    ("bug", "group", "untouched"),
    [(1, "real-k", "ordinary"), (2, "offsets", "ordinary"), (3, "ordinary", "invalid"), (4, "invalid", "ordinary")],
)
def test_c_with_a_bug_fails_in_the_group_made_for_it(bug: int, group: str, untouched: str, tmp_path: Path) -> None:
    counts, failed = _run_in_c(tmp_path, bug)
    assert failed[group] >= 25
    assert failed[untouched] == 0
    assert counts == f"{len(ALL) - failed.total()} passed, {failed.total()} failed, 0 skipped"


def test_the_fields_stand_in_order_one_a_line() -> None:
    def fields() -> Iterator[str]:
        for file in FILES:
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.startswith('    "'):
                    yield line.split('"')[1]

    names = list(fields())
    assert names[:21] * len(ALL) == names


def _target(folder: Path, at: str, does: str) -> str:
    """A right target but for what it does at some problems."""
    path = folder / "theirs.py"
    lines = ["import os, signal, time", "import hsproj", "def project(x, k):", f"    if {at}: {does}"]
    path.write_text("\n".join([*lines, "    return hsproj.project(x, k)"]))
    return f"{path}:project"


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "died with SIGSEGV"),
        ("os._exit(3)", "ended its process with exit status 3"),
        ("time.sleep(600)", "no answer within 0.5 s"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    ],
)
def test_a_deadly_call_costs_its_own_vector(
    does: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = _target(tmp_path, "list(x) == [5, 5, 0, 0] and k == 2", does)
    assert main(["vectors", target, "--group", "saturated-ties", "--timeout", "0.5", "--without", "temperature"]) == 1
    out = capsys.readouterr().out
    assert f"{VERTEX.id} / project: {reason}" in out
    assert 'x = np.array([5.0, 5.0, 0.0, 0.0], dtype="float64")' in out or "function(np.array([5.0, 5.0" in out
    assert ", 1 failed, " in out


def test_an_interrupted_run_shows_what_it_has_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = _target(tmp_path, "len(x) == 5", "os.kill(os.getppid(), signal.SIGINT); time.sleep(60)")
    assert main(["vectors", target, "--group", "vertices"]) == 1
    assert " 0 failed, 0 skipped, then interrupted)" in capsys.readouterr().out
