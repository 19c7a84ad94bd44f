"""The alerts and the dashboard ask for what the service really tells, and the runbook answers each alert."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from tests.alert_cases import FAULTS, HEALTHY
from tests.house import House, picture
from tests.tools import tool

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy/prometheus/alerts.yml"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy/grafana/orfeas.json").read_text())
RUNBOOK = (ROOT / "docs/operate/runbook.md").read_text()
# What Prometheus itself adds.
THEIRS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate"}}
# Values that stand for what may come; every other value of a matcher must be seen in a real scrape.
_TIME_OF_A_PANEL = "$__rate_interval"


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> list[Any]:
    found = [pytest.param(alert["expr"], id=alert["alert"]) for alert in ALERTS]
    found += [pytest.param(one["expr"], id=panel["title"]) for panel in panels() for one in panel["targets"]]
    return [*found, pytest.param(DASHBOARD["annotations"]["list"][0]["expr"], id="annotation")]


@pytest.fixture(scope="module")
def told(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """Each metric of a real scrape, with the values of its labels."""
    redis = Redis.from_url(redis_url, decode_responses=True)
    redis.flushall()
    house = House(redis, redis_url, tmp_path_factory.mktemp("house")).open()
    house.http.post("/api/jobs", data={"image": (io.BytesIO(picture()), "a.png")})
    house.work()
    house.agent.beat()
    house.http.get(f"/api/jobs/{'0' * 32}")
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(house.http.get("/metrics").text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {"instance": set()})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    house.close()
    return found


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression.replace(_TIME_OF_A_PANEL, "5m")), visit)
    assert found, "an expression that looks at nothing"
    return iter(found)


def grouped_by(expression: str) -> set[str]:
    return {name.strip() for names in re.findall(r"\b(?:by|on) ?\(([^)]+)\)", expression) for name in names.split(",")}


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_metrics_and_labels_that_there_are(
    expression: str, told: dict[str, dict[str, set[str]]]
) -> None:
    labels: set[str] = set()
    for selector in selectors(expression):
        if selector.name in THEIRS:
            labels |= THEIRS[selector.name]
            continue
        assert selector.name in told, f"no metric is called {selector.name}"
        labels |= told[selector.name].keys()
        for matcher in selector.matchers.matchers:
            values = told[selector.name].get(matcher.name)
            assert values is not None, f"{selector.name} has no label {matcher.name}"
            wanted = [word for word in re.split(r"\|", matcher.value) if re.fullmatch(r"[\w./<>-]+", word)]
            missing = {word for word in wanted if word not in values} - {"5xx"}
            assert not missing, f"{selector.name} never has {matcher.name}={missing}"
    assert grouped_by(expression) <= labels


def test_the_dashboard_is_sound() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for panel in panels():
        assert panel["title"] and panel["description"], panel["id"]
        assert panel["datasource"]["uid"] == "${datasource}", "it works with whatever the source is called"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_says_what_it_is_and_has_its_section_in_the_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket") and alert["annotations"]["summary"]
    assert alert["annotations"]["runbook"] == f"docs/operate/runbook.md#{alert['alert'].lower()}"
    section = re.search(rf"^## {alert['alert']}\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert section, f"the runbook has no section {alert['alert']}"
    assert "**It means**" in section[1] and "**Do**" in section[1]


def test_the_runbook_has_no_section_for_an_alert_that_is_gone() -> None:
    assert re.findall(r"^## (Orfeas\w+)$", RUNBOOK, re.MULTILINE) == [alert["alert"] for alert in ALERTS]


def test_the_page_lists_every_metric_and_no_other(told: dict[str, dict[str, set[str]]]) -> None:
    page = (ROOT / "docs/operate/monitoring.md").read_text()
    listed = set(re.findall(r"`(orfeas_\w+)`", page))
    assert listed == {re.sub(r"_(bucket|sum|count)$", "", name) for name in told if not name.endswith("_created")}


@pytest.fixture(scope="module")
def promtool() -> str:
    return tool("promtool", how="apt-get install prometheus")


def test_every_alert_has_a_case() -> None:
    assert list(FAULTS) == [alert["alert"] for alert in ALERTS]


@pytest.mark.parametrize("alert", [None, *FAULTS], ids=str)
def test_an_alert_fires_for_its_fault_and_none_when_all_is_well(
    alert: str | None, promtool: str, tmp_path: Path
) -> None:
    series = HEALTHY | FAULTS.get(alert or "", {})
    times = {"eval_time": "4h"}
    firing = [times | {"alertname": name, "exp_alerts": []} for name in FAULTS if alert is None or name == alert]
    case = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": firing,
            }
        ],
    }
    (tmp_path / "case.yml").write_text(yaml.safe_dump(case))
    done = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "case.yml")], capture_output=True, text=True, timeout=60
    )
    # promtool compares with "no alert": it succeeds when all is well and tells of the alert when it fires.
    assert (done.returncode == 0) is (alert is None), done.stdout + done.stderr
    assert alert is None or f'alertname="{alert}"' in done.stdout + done.stderr, done.stdout + done.stderr


def test_prometheus_takes_the_configuration(promtool: str, tmp_path: Path) -> None:
    for file in RULES.parent.glob("*.yml"):
        shutil.copy(file, tmp_path)
    (tmp_path / "orfeas-key").write_text("key")
    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
