"""Small suites, each of the kind that its plugin is made for."""

from __future__ import annotations


BDD = {
    "order.feature": "Feature: orders\n  Scenario: one order\n    Given a till\n    When tea is sold\n    Then it has 3\n",
    "test_orders.py": """
from pytest_bdd import given, scenarios, then, when

scenarios("order.feature")


@given("a till", target_fixture="till")
def till():
    return []


@when("tea is sold")
def sold(till):
    till.append(3)


@then("it has 3")
def has(till):
    assert till == [3]
""",
}
SPEED = {
    "test_speed.py": """
def test_adds_fast(benchmark):
    assert benchmark(sum, range(100)) == 4950


def test_adds_in_rounds(benchmark):
    benchmark.pedantic(sum, args=([1, 2],), rounds=3)
"""
}
DEPENDENT = """
import pytest

KEPT = []


@pytest.mark.dependency()
def test_opens():
    pass


@pytest.mark.dependency(depends=["test_opens"])
def test_keeps_each_order():
    KEPT.append(b"x" * 20_000_000)


@pytest.mark.dependency(depends=["test_opens"])
def test_closes():
    pass
"""
FLAKY = """
import pathlib


def test_comes_right_the_second_time():
    mark = pathlib.Path("tried")
    tried = mark.exists()
    mark.touch()
    assert tried
"""
PROPERTIES = """
from hypothesis import given, strategies as st


@given(st.lists(st.integers()))
def test_sorts_twice(numbers):
    assert sorted(sorted(numbers)) == sorted(numbers)


@given(st.integers())
def test_is_small(number):
    assert number < 1000
"""
COVERED = {
    "prices.py": """
SEEN = []


def price(name):
    SEEN.append(name)
    if len(SEEN) > 1:
        return "only a repeat comes here"
    return 3
""",
    "test_prices.py": "import prices\n\n\ndef test_price():\n    assert prices.price('tea')\n",
}
DJANGO = {
    "manage.py": "",
    "site/__init__.py": "",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models


class Order(models.Model):
    title = models.CharField(max_length=20)
""",
    "conf.py": """
SECRET_KEY = "not one"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3", "TEST": {"NAME": "t.sqlite3"}}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
""",
    "test_orders.py": """
import pytest
from shop.models import Order


@pytest.mark.django_db
def test_creates():
    Order.objects.create(title="tea")
    assert Order.objects.count() == 1


def test_is_empty(db):
    assert not Order.objects.exists()
""",
    "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = conf\n",
}
