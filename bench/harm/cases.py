"""The plugins, each with a suite of its kind."""

from __future__ import annotations

from model import SHOP, Case, Rule
from suites import BDD, COVERED, DEPENDENT, DJANGO, FLAKY, PROPERTIES, SPEED


TIMES = (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.:+Z-]*", r"\b\d+\.\d+(e-?\d+)?\b", r"\b1[67]\d{8,17}\b")
CLOCK = ("created", "duration", "start", "stop", "time", "timestamp", "uuid", "historyId", "testCaseId", "runtime")

COVERAGE = (
    Rule(
        files=".coverage*", reader="sqlite", why="holds when, and by which process, it was made", words=("meta", "key")
    ),
    Rule(files="coverage.json", reader="json", why="times", words=("timestamp",)),
)
CASES = (
    Case(name="no plugin"),
    Case(
        name="junit",
        args=("--junitxml=out/junit.xml", "-o", "junit_family=xunit1"),
        files={"test_notes.py": "def test_notes(record_property):\n    record_property('tea', 3)\n"},
        rules=(Rule(files="out/junit.xml", reader="text", why="times", words=TIMES),),
    ),
    Case(name="last failed", args=("--ff",), before=(("--ff",),)),
    Case(
        name="stepwise",
        leaks=None,  # it stops the session
        args=("--stepwise",),
        rules=(
            Rule(files=".pytest_cache/v/cache/stepwise", reader="json", why="times", words=("last_cache_date_str",)),
        ),
    ),
    Case(
        name="log file",
        args=("--log-file=out.log", "--log-file-level=INFO"),
        files={"test_logs.py": "import logging\n\n\ndef test_logs():\n    logging.getLogger().info('sold')\n"},
    ),
    Case(
        name="cov",
        needs=("pytest-cov",),
        plugins=("pytest_cov",),
        files=COVERED,
        rules=COVERAGE,
        args=("--cov=prices", "--cov-report=term-missing", "--cov-report=json"),
    ),
    Case(
        name="cov, two workers",
        needs=("pytest-cov", "pytest-xdist"),
        plugins=("pytest_cov", "xdist"),
        files=COVERED,
        rules=COVERAGE,
        args=("--cov=prices", "--cov-report=term-missing", "-n2"),
        orderly=False,
    ),
    Case(
        name="cov, fail under",
        needs=("pytest-cov",),
        plugins=("pytest_cov",),
        files=COVERED,
        rules=COVERAGE,
        args=("--cov=prices", "--cov-fail-under=95", "--cov-context=test"),
    ),
    Case(
        name="html",
        needs=("pytest-html",),
        plugins=("html", "html_fixtures", "metadata"),
        args=("--html=out/r.html",),
        rules=(
            Rule(
                files="out/r.html",
                reader="text",
                why="times",
                words=(
                    *TIMES,
                    r"\d\d:\d\d:\d\d",
                    r"\d\d-\w+-\d{4}",
                    r"\d+ ms",
                    r"(, )?&#34;leaktrace&#34;: &#34;[^&]*&#34;",
                ),
            ),
        ),
    ),
    Case(
        name="json-report",
        needs=("pytest-json-report",),
        plugins=("pytest_jsonreport", "metadata"),
        args=("--json-report",),
        rules=(Rule(files=".report.json", reader="json", why="times", words=(*CLOCK, "leaktrace")),),
    ),
    Case(
        name="reportlog",
        needs=("pytest-reportlog",),
        plugins=("pytest_reportlog",),
        args=("--report-log=log.jsonl",),
        rules=(Rule(files="log.jsonl", reader="text", why="times", words=TIMES),),
    ),
    Case(
        name="csv",
        needs=("pytest-csv",),
        plugins=("pytest_csv",),
        args=("--csv=tests.csv",),
        rules=(Rule(files="tests.csv", reader="text", why="times", words=TIMES),),
    ),
    Case(
        name="ctrf",
        needs=("pytest-json-ctrf",),
        plugins=("ctrf",),
        args=("--ctrf=ctrf.json",),
        rules=(Rule(files="ctrf.json", reader="json", why="times, ids", words=(*CLOCK, "reportId", "id")),),
    ),
    Case(
        name="allure",
        needs=("allure-pytest",),
        plugins=("allure_pytest",),
        args=("--alluredir=al",),
        rules=(Rule(files="al/*", reader="allure", why="times, and names that are random", words=CLOCK),),
    ),
    Case(
        name="bdd",
        needs=("pytest-bdd",),
        plugins=("pytest-bdd",),
        args=("--cucumberjson=c.json",),
        files=BDD,
        rules=(Rule(files="c.json", reader="json", why="times", words=CLOCK),),
    ),
    Case(
        name="benchmark",
        needs=("pytest-benchmark",),
        plugins=("benchmark",),
        files=SPEED,
        args=("--benchmark-json=b.json", "--benchmark-max-time=0.05", "--benchmark-columns=min"),
        rules=(
            Rule(
                files="b.json",
                reader="json",
                why="measured times, the machine's clock rate",
                words=(*CLOCK, "stats", "datetime", "machine_info", "commit_info", "extra_info", "options"),
            ),
        ),
    ),
    Case(
        name="codspeed",
        needs=("pytest-codspeed",),
        plugins=("codspeed",),
        files=SPEED,
        args=("--codspeed", "--codspeed-max-time=0.05", "--codspeed-warmup-time=0.01"),
        rules=(Rule(files=".codspeed/*.json", reader="codspeed", why="measured times; named by the time"),),
        told=((r"(?m)(^│) +(test_\S+).*$", r"\1 \2"),),
        shop=SHOP.replace("def test_keeps", "@pytest.mark.benchmark\ndef test_keeps"),
    ),
    Case(
        name="profiling",
        needs=("pytest-profiling",),
        plugins=("profiling",),
        args=("--profile",),
        told=(
            (r"\d+ function calls( \(\d+ primitive)?|from \d+ to 20", "~"),
            (r"(?m)^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "~"),
            (r"(?m)^ +\d+(/\d+)? +\d+\.\d+.*$", ""),
        ),
        rules=(Rule(files="prof/*", reader="profile", why="measured times"),),
    ),
    Case(
        name="monitor",
        needs=("pytest-monitor",),
        plugins=("monitor",),
        rules=(
            Rule(
                files=".pymon",
                reader="sqlite",
                why="measured times and memory",
                words=(
                    "TEST_METRICS:SESSION_H",
                    "TEST_METRICS:ENV_H",
                    "TEST_METRICS:ITEM_START_TIME",
                    "TEST_METRICS:9-",
                    "TEST_SESSIONS",
                    "EXECUTION_CONTEXTS",
                ),
            ),
        ),
    ),
    Case(
        name="testmon",
        needs=("pytest-testmon",),
        plugins=("pytest-testmon",),
        args=("--testmon",),
        rules=(
            Rule(
                files=".testmondata*",
                reader="sqlite",
                why="times",
                words=("metadata", "environment", "suite_execution", "file_fp:mtime", "test_execution:duration"),
            ),
        ),
    ),
    Case(
        name="syrupy",
        needs=("syrupy",),
        plugins=("syrupy",),
        before=(("--snapshot-update",),),
        files={"test_looks.py": "def test_looks(snapshot):\n    assert {'tea': [3]} == snapshot\n"},
    ),
    Case(
        name="syrupy, update",
        needs=("syrupy",),
        plugins=("syrupy",),
        args=("--snapshot-update",),
        files={"test_looks.py": "def test_looks(snapshot):\n    assert {'tea': [3]} == snapshot\n"},
    ),
    Case(
        name="snapshot",
        needs=("pytest-snapshot",),
        plugins=("snapshot",),
        before=(("--snapshot-update",),),
        files={"test_looks.py": "def test_looks(snapshot):\n    snapshot.assert_match('tea 3', 'tea.txt')\n"},
    ),
    Case(
        name="regressions",
        needs=("pytest-regressions",),
        plugins=("regressions", "pytest-datadir"),
        before=((),),
        files={"test_looks.py": "def test_looks(data_regression):\n    data_regression.check({'tea': 3})\n"},
    ),
    Case(
        name="hypothesis",
        needs=("hypothesis",),
        plugins=("hypothesispytest",),
        args=("--hypothesis-show-statistics", "--hypothesis-seed=1"),
        told=((r"Typical runtimes: .*", ""), (r"0x[0-9a-f]+", "0x~")),
        files={"test_properties.py": PROPERTIES},
        rules=(
            Rule(files=".hypothesis/constants/*", reader="name", why="what it found in the sources"),
            Rule(files=".hypothesis/unicode_data/*", reader="name", why="compressed with its time"),
        ),
    ),
    Case(name="dependency", needs=("pytest-dependency",), plugins=("dependency",), shop=DEPENDENT),
    Case(
        name="randomly",
        needs=("pytest-randomly",),
        plugins=("randomly",),
        args=("-p", "randomly", "--randomly-seed=7"),
        files={"test_chance.py": "import random\n\n\ndef test_draws():\n    assert random.random() < 1\n"},
    ),
    Case(
        name="rerunfailures",
        needs=("pytest-rerunfailures",),
        plugins=("rerunfailures",),
        args=("--reruns=1",),
        files={"test_flaky.py": FLAKY},
    ),
    Case(name="timeout", needs=("pytest-timeout",), plugins=("timeout",), args=("--timeout=60",)),
    Case(name="django", needs=("pytest-django", "django"), plugins=("django",), files=DJANGO),
    Case(
        name="subtests",
        told=((r"0x[0-9a-f]+", "0x~"),),
        files={
            "test_parts.py": "def test_parts(subtests):\n    for each in range(3):\n"
            "        with subtests.test(each=each):\n            assert each < 2\n"
        },
    ),
    Case(name="sugar", needs=("pytest-sugar",), plugins=("sugar",), args=("--force-sugar",)),
    Case(
        name="memray",
        needs=("pytest-memray",),
        plugins=("memray",),
        args=("--memray", "--memray-bin-path=bins"),
        told=((r"prefix [0-9a-f]{32}", "prefix ~"), (r"\d+(\.\d+)?[KMG]?i?B", "~B")),
        rules=(Rule(files="bins/*", reader="memray", why="every allocation with its time; named at random"),),
    ),
    Case(name="forked", needs=("pytest-forked",), plugins=("pytest_forked",), args=("--forked",), leaks=False),
)
