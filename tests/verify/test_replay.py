"""A failing case is written down, and fails again for the same reason when it is replayed."""

import json
import math
import textwrap
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsproj_verify import check
from hsproj_verify.cli import main
from hsproj_verify.draws import Recorded, Replayed, ReplayError, decode, encode
from hsproj_verify.problems import Problem
from hsproj_verify.recording import read
from hsproj_verify.runner import replay
from hsproj_verify.strategies import any_problems
from hsproj_verify.target import Target

WRONG = """
    import numpy as np

    def rescale(x, k, temperature=1.0):
        p = np.clip(np.asarray(x) / temperature, 0, 1)
        return p * (k / max(p.sum(), 1e-9))

    def identity(x, k, g, temperature=1.0):
        return g

    def raises(x, k):
        raise ValueError("none of yours")

    def in_place(x, k):
        x[...] = np.clip(x, 0, 1)
        return x

    def ones(x, k):
        return np.ones_like(x)

    def loss(scores, targets, k):
        return 0.0

    def loss_and_grad(scores, targets, k):
        return 0.0, scores
"""


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong.py"
    path.write_text(textwrap.dedent(WRONG))
    return str(path)


@pytest.fixture
def witness(wrong: str, tmp_path: Path) -> Path:
    folder = tmp_path / "witnesses"
    main(["check", f"{wrong}:rescale", "--only", "accurate_on_tied_scores", "--witnesses", str(folder)])
    return folder / "accurate_on_tied_scores.json"


def _schema() -> Any:
    return json.loads(resources.files("hsproj_verify").joinpath("witness.schema.json").read_text())


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), any_problems()),
    lambda values: st.one_of(st.lists(values), st.lists(values).map(tuple)),
    max_leaves=6,
)


@settings(max_examples=100, database=None, deadline=None)
@given(st.lists(PLAIN, max_size=4))
def test_drawn_values_come_back_from_json_as_they_were(values: list[Any]) -> None:
    text = json.dumps([encode(value) for value in values])
    assert repr([decode(value) for value in json.loads(text)]) == repr(values)
    jsonschema.Draft202012Validator(_schema()["properties"]["draws"] | {"$defs": _schema()["$defs"]}).validate(
        json.loads(text)
    )


def test_nan_comes_back() -> None:
    assert math.isnan(decode(encode(math.nan)))


@pytest.mark.parametrize("value", [np.zeros(2), {1: 2}, object(), np.float32(1.0), 1j])
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="plain values or a Problem"):
        encode(value)


def test_recorded_draws_replay_in_their_order() -> None:
    class Counting:
        values = iter([3, 1.5, Problem((1.0,), 1.0)])

        def draw(self, strategy: Any) -> Any:
            return next(self.values)

    recorded = Recorded(Counting())
    drawn = [recorded.draw(None) for _ in range(3)]
    replayed = Replayed(recorded.values)
    assert [replayed.draw(None) for _ in range(3)] == drawn
    with pytest.raises(ReplayError, match="more values"):
        replayed.draw(None)


@pytest.mark.parametrize("name", ["rescale", "raises", "in_place"])
def test_every_failure_of_every_check_replays_to_the_same_reason(wrong: str, name: str) -> None:
    report = check(
        f"{wrong}:{name}",
        vjp=f"{wrong}:identity",
        jvp=f"{wrong}:identity",
        loss=f"{wrong}:loss",
        loss_and_grad=f"{wrong}:loss_and_grad",
        examples=5,
        shrink=name == "rescale",
        workers=1,
    )
    assert len(report.failures) > 10
    for failure in report.failures:
        assert failure.replay is not None, failure
        case = json.loads(json.dumps(failure.replay))
        jsonschema.validate(case, _schema())
        again = replay(case, workers=0)
        assert (again.name, again.reason) == (failure.name, failure.reason)
        assert repr(again.witness) == repr(failure.witness)  # as text: NaN is not NaN


def test_the_report_holds_what_replays(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    main(["check", f"{wrong}:ones", "--only", "total_is_k", "--only", "dtype_is_kept", "--report", str(path)])
    failed, passed = json.loads(path.read_text())["checks"]
    assert replay(failed["replay"]).reason == failed["reason"]
    assert passed["replay"] is None


def test_replay_exits_with_1_while_it_fails_and_shows_the_witness(
    witness: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["replay", str(witness)]) == 1
    out = capsys.readouterr().out
    assert "STILL FAILS" in out
    assert read(witness)["reason"] in out
    assert "# exact:" in out


def test_replay_exits_with_0_for_a_target_that_passes(witness: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(witness), "hsproj:soft_binary_argmax"]) == 0
    assert "passes accurate_on_tied_scores on this case" in capsys.readouterr().out


def test_a_target_that_can_not_be_asked_is_a_wrong_call(
    wrong: str, witness: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(witness), f"{wrong}:ones"]) == 2
    assert "it lacks temperature" in capsys.readouterr().err


def test_a_deadly_call_is_replayed_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "deadly.py"
    path.write_text("import os\ndef f(x, k): os.abort()\n")
    (failure,) = check(f"{path}:f", only=["total_is_k"], budget="quick").failures
    assert failure.replay is not None
    assert replay(failure.replay).reason == failure.reason == "died with SIGABRT"


def _damaged(case: dict[str, Any], damage: str) -> str:
    if damage == "no JSON":
        return json.dumps(case)[:-5]
    if damage == "another schema":
        case["schema"] = "hsproj-verify/witness/0"
    elif damage == "no draws":
        del case["draws"]
    elif damage == "a bad float":
        case["draws"][-1]["problem"]["k"] = "0.5"
    elif damage == "a bad dtype":
        case["draws"][-1]["problem"]["dtype"] = "float7"
    elif damage == "too few draws":
        case["draws"] = case["draws"][:-1]
    elif damage == "other draws":
        case["draws"] = ["ordinary", "ordinary"]
    elif damage == "an unknown check":
        case["check"] = "is_nice"
    elif damage == "an unknown claim":
        case["claims"].append("wings")
    return json.dumps(case)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no JSON", "no JSON: Unterminated string"),
        ("another schema", "'hsproj-verify/witness/1' was expected"),
        ("no draws", "'draws' is a required property"),
        ("a bad float", "$.draws[1]"),
        ("a bad dtype", "can't use these draws"),
        ("too few draws", "draws more values than were recorded"),
        ("other draws", "can't use these draws"),
        ("an unknown check", "no such check: is_nice"),
        ("an unknown claim", "unknown claims ['wings']"),
    ],
)
def test_a_damaged_file_is_a_wrong_call_that_says_what_is_wrong(
    witness: Path, damage: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    witness.write_text(_damaged(json.loads(witness.read_text()), damage))
    assert main(["replay", str(witness)]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "no/such/file.json"]) == 2
    assert "No such file" in capsys.readouterr().err


def test_witnesses_of_callables_replay_on_the_callable() -> None:
    target = Target("ones", lambda x, k: np.ones_like(x))
    (failure,) = check(target, only=["total_is_k"], budget="quick").failures
    assert failure.replay is not None
    assert replay(failure.replay, target).reason == failure.reason
