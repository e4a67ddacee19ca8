"""Reports: what is measured, and the same findings in every format."""

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest

from hsproj_verify import Report, check
from hsproj_verify.case import Entry, Witness
from hsproj_verify.checks.examples import project
from hsproj_verify.cli import main
from hsproj_verify.errors import Errors, Measurement, Worst
from hsproj_verify.report import Outcome, Result

ONLY = [
    "total_is_k",
    "accurate_on_tied_scores",
    "integer_scores_are_promoted",
    "order_is_preserved",
    "vjp_sums_to_zero",
]
NASTY = "</script><b>&\x1b[31m\x00\ud800 ]]> 'quoted' \"twice\""


def _rescale(x: Any, k: Any) -> Any:
    p = np.clip(x, 0, 1)
    return p * (k / max(p.sum(), 1e-9))


@pytest.fixture(scope="module")
def failing() -> Report:
    return check(_rescale, only=ONLY, examples=30, expected_failures={"integer_scores_are_promoted": "by design"})


def _nasty() -> Report:
    witness = Witness(NASTY + "x" * 10_000, NASTY, NASTY, (Entry(0, math.nan, 0.5, -1e300), Entry(1, 0.25, 0.5, -0.25)))
    worst = Worst(math.inf, "tied", "float64", 3, witness)
    measured = (Measurement("tied", "float64", 2, 3, 7, math.inf),)
    result = Result(
        "total_is_k", "feasibility", Outcome.FAILED, NASTY, witness, 3, cause=NASTY, worst=worst, measured=measured
    )
    return Report(NASTY, NASTY, 0, 10, 8.0, (result,))


def _interrupted() -> Report:
    unfinished = [
        Result("total_is_k", "feasibility", Outcome.PASSED, "", None, 3),
        Result("order_is_preserved", "structure", Outcome.SKIPPED, "not run: interrupted", None, 0),
    ]
    return Report("somebody's", "", 0, 10, 8.0, tuple(unfinished), interrupted=True)


REPORTS = {"nasty": _nasty, "interrupted": _interrupted, "empty": lambda: Report("t", "", 0, 1, 8.0, ())}


@pytest.fixture(params=["failing", *REPORTS])
def any_report(request: pytest.FixtureRequest, failing: Report) -> Report:
    return failing if request.param == "failing" else REPORTS[request.param]()


# What is measured


def test_the_worst_error_is_measured_in_eps_of_one_plus_p() -> None:
    def off_by_three_eps(x: Any, k: Any) -> Any:
        return np.full(x.shape, k / x.shape[-1]) + 3 * np.finfo(np.float64).eps  # for equal scores

    # One score: the exact answer is k, 0 or 1. At 1, 3 eps off is 1.5 eps (1 + p), which 3 is at 0.
    (result,) = check(off_by_three_eps, only=["accurate_at_extreme_totals"], examples=200).results
    errors = {(m.shortest, m.longest): m.error for m in result.measured}
    assert errors[1, 1] == 3.0
    assert result.worst is not None
    assert result.worst.error == max(errors.values())


def test_lengths_are_grouped_by_powers_of_two_and_families_and_dtypes_apart() -> None:
    errors = Errors()
    for n, dtype in [(0, "float64"), (1, "float64"), (2, "float64"), (3, "float64"), (4, "float64"), (3, "float32")]:
        errors.note(n / 2, "tied", dtype, n, lambda n=n: Witness(str(n), "", ""))  # type: ignore[misc]
    groups = [(m.dtype, m.shortest, m.longest, m.problems, m.error) for m in errors.measured]
    assert groups == [
        ("float32", 2, 3, 1, 1.5),
        ("float64", 0, 0, 1, 0.0),
        ("float64", 1, 1, 1, 0.5),
        ("float64", 2, 3, 2, 1.5),
        ("float64", 4, 7, 1, 2.0),
    ]
    assert errors.worst is not None
    assert errors.worst.witness.code == "4"


def test_the_witness_of_the_worst_error_shows_it() -> None:
    (result,) = check(_rescale, only=["accurate_on_tied_scores"], examples=30).results
    assert result.worst is not None
    off = max(abs(entry.off) / (1 + entry.exact) for entry in result.worst.witness.entries)
    assert off / np.finfo(np.float64).eps == pytest.approx(result.worst.error, rel=1e-9)


def test_a_report_merges_the_errors_of_its_checks(failing: Report) -> None:
    assert {m.family for m in failing.measured} == {"tied", "integers"}
    tied = [result for result in failing.results if result.name == "accurate_on_tied_scores"]
    twice = replace(failing, results=(*tied, *tied))
    assert [m.problems for m in twice.measured] == [2 * m.problems for m in tied[0].measured]
    assert failing.worst is not None
    assert failing.worst.error == max(m.error for m in failing.measured)


def test_entries_of_a_long_row_are_those_that_are_furthest_off() -> None:
    def one_wrong(x: Any, k: Any) -> Any:
        p = np.full(x.shape, k / x.shape[-1])
        p[..., 7] = 0.125 if x.shape[-1] > 1000 else p[..., 7]
        return p

    report = check(one_wrong, only=["accurate_on_long_rows"], examples=300)
    witness = report.results[0].witness
    assert witness is not None
    assert 12 < len(witness.entries) <= 200
    assert [entry.at for entry in witness.entries] == sorted(entry.at for entry in witness.entries)


# What is shown


def _shown(function: Callable[..., Any], capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[Report, str]:
    report = check(function, examples=40, **options)
    report.print()
    return report, capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            lambda p: (p, 0.5),
            "a tuple of 2 (a (1,) array of float64, float), not an array of shape (1,): return the array",
        ),
        (lambda p: [p], "a list of 1 (a (1,) array of float64), not an array of shape (1,): return the array alone"),
        (lambda p: None, "None, not an array of shape (1,): return the answer, wherever it is written"),
        (
            lambda p: p[None],
            "a (1, 1) array of float64, not an array of shape (1,): return it without the axis of length",
        ),
        (lambda p: np.ma.array(p), "a (1,) masked array, not an array of shape (1,): return an array without a mask"),
        (lambda p: p.astype(str), "a (1,) array of <U32, not an array of shape (1,): return real numbers"),
    ],
    ids=["tuple", "list", "None", "axis", "mask", "strings"],
)
def test_one_mistake_of_form_is_told_once_and_first_with_what_to_return(
    form: Callable[[Any], Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ["total_is_k", "accurate_on_tied_scores", "rows_are_independent", "no_scores_have_no_p"]
    report, out = _shown(lambda x, k: form(project(x, k)), capsys, only=only)
    first, *_ = out.splitlines()
    assert first.startswith(f"4 of 4 checks failed alike: project returned {said}")
    assert out.count("project returned") == 1
    assert [group.names for group in report.alike] == [tuple(only)]
    with pytest.raises(AssertionError, match="4 of 4 checks failed alike"):
        report.raise_for_failures()


def test_failures_of_one_cause_are_told_together_and_others_on_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    only = [
        "zeros_have_no_sign",
        "total_is_k",
        "accurate_on_ordinary_scores",
        "integer_scores_are_promoted",
        "order_is_preserved",
    ]

    def integers(x: Any, k: Any) -> Any:
        return project(x, k).astype(int)

    _, out = _shown(integers, capsys, only=only)
    assert out.startswith("3 of 5 checks failed alike: likely cause: entries are truncated to integers")
    assert "in total_is_k, accurate_on_ordinary_scores, integer_scores_are_promoted\n" in out
    _, out = _shown(_rescale, capsys, only=only[:3])
    assert "alike" not in out
    assert all(f"/ {name}: " in out for name in only[:3])


def test_every_format_tells_failures_that_are_alike(tmp_path: Path) -> None:
    report = check(lambda x, k: None, examples=5, only=ONLY)
    (headline,) = [group.headline for group in report.alike]
    assert headline.startswith("4 of 4 checks failed alike: project returned None")
    for suffix in (".json", ".xml", ".html"):
        report.write(tmp_path / f"report{suffix}")
        assert headline in (tmp_path / f"report{suffix}").read_text(encoding="utf-8")


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16"])
def test_a_witness_shows_an_answer_in_the_dtype_it_came_in(dtype: str) -> None:
    only = [
        "total_is_k",
        "accurate_on_ordinary_scores",
        "one_total_serves_all_rows",
        "moves_no_further_than_the_scores",
    ]
    report = check(lambda x, k: (3 * project(x, k)).astype(dtype), only=only, examples=20)
    assert len(report.failures) == len(only)
    for failure in report.failures:
        assert failure.witness is not None
        assert failure.witness.came.endswith(f'dtype="{dtype}")')


# JSON


def test_json_follows_the_published_schema_strictly(any_report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    any_report.write(path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    read = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    schema = json.loads(resources.files("hsproj_verify").joinpath("report.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read, schema)
    assert read["verdict"] == "fail"


# JUnit


def _suite(report: Report, path: Path) -> ET.Element:
    report.write(path)
    root = ET.parse(path).getroot()
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def test_junit_has_the_structure_that_its_schema_demands(any_report: Report, tmp_path: Path) -> None:
    suite = _suite(any_report, tmp_path / "report.xml")
    required = {"name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "time"}
    assert required <= set(suite.attrib) <= required | {"skipped"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    tags = [child.tag for child in suite]
    cases = tags.count("testcase")
    assert tags == ["properties", *["testcase"] * cases, "system-out", "system-err"]
    assert int(suite.attrib["tests"]) == cases
    for plural, tag in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]:
        assert int(suite.attrib[plural]) == len(suite.findall(f"testcase/{tag}"))
    for case in suite.iter("testcase"):
        assert set(case.attrib) == {"classname", "name", "time"}
        assert float(case.attrib["time"]) >= 0
        assert [child.tag for child in case] in ([], ["failure"], ["error"], ["skipped"])
    for finding in [*suite.iter("failure"), *suite.iter("error")]:
        assert set(finding.attrib) == {"message", "type"}


def test_junit_says_of_each_check_what_became_of_it(failing: Report, tmp_path: Path) -> None:
    cases = {case.attrib["name"]: case for case in _suite(failing, tmp_path / "report.xml").iter("testcase")}
    assert list(cases) == ONLY
    failure = cases["accurate_on_tied_scores"].find("failure")
    assert failure is not None
    assert failure.text is not None
    assert "off by" in failure.attrib["message"]
    assert "# exact:" in failure.text
    assert cases["accurate_on_tied_scores"].attrib["classname"] == "hsproj_verify.accuracy"
    messages = {name: case.find("skipped") for name, case in cases.items()}
    assert messages["vjp_sums_to_zero"].attrib["message"].startswith("vjp not claimed")  # type: ignore[union-attr]
    expected = messages["integer_scores_are_promoted"].attrib["message"]  # type: ignore[union-attr]
    assert expected.startswith("expected failure: by design")
    assert [len(cases[name]) for name in ("total_is_k", "order_is_preserved")] == [1, 0]


# The page


class _Page(HTMLParser):
    """Elements, what they load, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.texts: list[str] = []
        self.labels: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "data"):
                (self.refers if str(value).startswith("#") else self.loads).append(str(value))
            elif name == "id":
                self.ids.append(str(value))
        if tag == "svg":
            self.labels.append(dict(attributes).get("aria-label") or "")

    def handle_data(self, data: str) -> None:
        (self.scripts if self.tags and self.tags[-1] == "script" else self.texts).append(data)


def _page(report: Report, path: Path) -> _Page:
    report.write(path)
    return _Page(path.read_text(encoding="utf-8"))


def test_the_page_needs_no_other_file_and_is_one_document(any_report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page = _page(any_report, path)
    assert page.loads == []
    assert not re.search(r"url\((?!#)|@import", path.read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    assert {"b", "img", "iframe", "link"}.isdisjoint(page.tags)
    assert {reference.removeprefix("#") for reference in page.refers} <= set(page.ids)


def test_the_page_holds_the_json_report(any_report: Report, tmp_path: Path) -> None:
    page = _page(any_report, tmp_path / "report.html")
    assert json.loads(page.scripts[0]) == any_report.to_dict()


def test_the_page_shows_errors_and_each_witness_in_figures_that_say_what_they_show(
    failing: Report, tmp_path: Path
) -> None:
    page = _page(failing, tmp_path / "report.html")
    with_entries = [r for r in failing.failures if r.witness and len(r.witness.entries) > 1]
    assert len(page.labels) == 1 + len(with_entries)
    assert all(len(label) > 40 for label in page.labels)
    text = "".join(page.texts)
    for result in failing.failures:
        assert result.witness is not None
        assert result.witness.code in text
        assert result.reason in text


def test_without_matplotlib_the_page_says_so_and_keeps_its_tables(
    failing: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hsproj_verify.report.figures", None)
    page = _page(failing, tmp_path / "report.html")
    assert "svg" not in page.tags
    assert "Figures need matplotlib" in "".join(page.texts)
    assert page.tags.count("table") >= 3


# All of them


@pytest.mark.parametrize("suffix", [".json", ".xml", ".html"])
def test_a_partial_report_says_so_in_every_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"report{suffix}"
    _interrupted().write(path)
    text = path.read_text(encoding="utf-8")
    assert ('"interrupted": true' if suffix == ".json" else "nterrupted: a partial report") in text


def test_a_partial_report_says_so_on_the_terminal_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    report = _interrupted()
    report.print()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "somebody's: FAIL (interrupted: a partial report; 1 passed, 1 skipped; seed 0)"
    with pytest.raises(AssertionError, match="partial report"):
        report.raise_for_failures()


def test_the_terminal_obeys_no_target_and_cuts_long_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _nasty().print()
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31m" in out
    assert max(map(len, out.splitlines())) < 2100
    assert "more characters)" in out


def test_the_table_fits_into_120_columns_where_there_is_no_terminal(
    failing: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.print()
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if line and line[0] in "┏┃┡│├└"]
    assert {len(line) for line in table} == {len(table[0])}
    assert len(table[0]) <= 120
    assert any(line.startswith("worst error: ") for line in lines)


@pytest.mark.parametrize("make", REPORTS.values(), ids=REPORTS)
def test_writing_the_same_report_again_gives_the_same_json_and_page(make: Callable[[], Report], tmp_path: Path) -> None:
    for suffix in (".json", ".html"):
        first, second = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
        make().write(first)
        make().write(second)
        assert first.read_bytes() == second.read_bytes()


def test_a_suffix_without_a_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.json or \.xml or \.html; got .*\.pdf"):
        _interrupted().write(tmp_path / "report.pdf")


def test_all_reports_are_written_even_when_one_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    target = tmp_path / "target.py"
    # The first call takes the folder of the second report away.
    target.write_text(
        f"import shutil, numpy\ndef f(x, k):\n    shutil.rmtree({str(folder)!r}, True)\n    return 0 * x + k\n"
    )
    paths = [tmp_path / "1.json", folder / "2.html", tmp_path / "3.xml"]
    options = [option for path in paths for option in ("--report", str(path))]
    assert main(["check", f"{target}:f", "--only", "total_is_k", "--examples", "5", *options]) == 1
    assert [path.exists() for path in paths] == [True, False, True]
    assert f"can't write {paths[1]}: No such file or directory" in capsys.readouterr().err
