"""The report as JUnit XML, which services for continuous integration read: a test case for each check."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from hsproj_verify.report.results import Outcome, Report, Result, failure_text
from hsproj_verify.report.text import printable


def junit(report: Report) -> str:
    """The XML: attributes and their order as the schema of Ant's JUnit task has them."""
    counts = report.counts
    failures = counts["failed"] + counts["unexpected_passes"]
    root = ET.Element("testsuites")
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": printable(report.target),
            "package": "hsproj_verify",
            "id": "0",
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": "localhost",
            "tests": str(len(report.results) + bool(report.lack)),
            "failures": str(failures),
            "errors": str(int(bool(report.lack))),
            "skipped": str(len(report.results) - counts["passed"] - failures),
            "time": _seconds(sum(result.seconds for result in report.results)),
        },
    )
    properties = ET.SubElement(suite, "properties")
    for name in ("note", "verdict", "interrupted", "seed", "examples", "tolerance"):
        value = printable(str(report.to_dict()[name]))
        ET.SubElement(properties, "property", name=name, value=value)
    for result in report.results:
        suite.append(_case(result))
    if report.lack:  # no check may have failed, and yet the run is no success
        case = ET.SubElement(suite, "testcase", classname="hsproj_verify", name="run", time=_seconds(0.0))
        ET.SubElement(case, "error", message=report.lack, type="incomplete")
    said = ET.SubElement(suite, "system-out")
    said.text = printable("\n".join([report.headline, *(group.headline for group in report.alike)]))
    ET.SubElement(suite, "system-err")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(result: Result) -> ET.Element:
    case = ET.Element(
        "testcase", classname=f"hsproj_verify.{result.level}", name=result.name, time=_seconds(result.seconds)
    )
    reason = printable(result.reason)
    match result.outcome:
        case Outcome.FAILED | Outcome.UNEXPECTED_PASS:
            failure = ET.SubElement(case, "failure", message=reason, type=result.outcome.value)
            failure.text = failure_text(result)
        case Outcome.SKIPPED:
            ET.SubElement(case, "skipped", message=reason)
        case Outcome.EXPECTED_FAILURE:
            ET.SubElement(case, "skipped", message=f"expected failure: {reason}")
    return case


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
