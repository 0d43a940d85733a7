"""Class attributes, function attributes and mutable defaults that keep instances."""

from __future__ import annotations

import itertools


class Connection:
    opened: list[Connection] = []

    def __init__(self, host: str) -> None:
        self.host = host
        self.opened.append(self)


class Base:
    plugins: dict[str, type] = {}
    serial = itertools.count()

    def __init_subclass__(cls) -> None:
        Base.plugins[f"{cls.__name__}-{next(Base.serial)}"] = cls


class Settings:
    numbers = itertools.count()


class Meter:
    by_unit: dict[str, list[float]] = {"bytes": [], "seconds": []}

    def record(self, unit: str, value: float) -> None:
        self.by_unit[unit].append(value * 1.5)


def notify(message: str) -> int:
    notify.sent.append([message])
    return len(notify.sent)


notify.sent = []


def collect(item: object, basket: list[object] = []) -> list[object]:
    basket.append(item)
    return basket


def test_instances_in_a_class_list() -> None:
    assert Connection("db").host == "db"


def test_subclasses_in_a_class_dict() -> None:
    class Plugin(Base):
        name = "plugin"

    assert Plugin in Base.plugins.values()


def test_new_attributes_on_a_class() -> None:
    name = f"option_{next(Settings.numbers)}"
    setattr(Settings, name, [1, 2, 3])
    assert getattr(Settings, name) == [1, 2, 3]


def test_dict_of_lists_on_a_class() -> None:
    Meter().record("seconds", 2.0)
    assert Meter.by_unit["seconds"][-1] == 3.0


def test_function_attribute() -> None:
    assert notify("ready")


def test_mutable_default() -> None:
    assert collect(object())
