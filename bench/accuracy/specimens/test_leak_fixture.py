"""Fixtures, of each scope, that keep something at each use."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


class Client:
    def __init__(self, name: str) -> None:
        self.name = name


class Desk:
    def __init__(self) -> None:
        self.tickets: list[Client] = []


CLIENTS: list[Client] = []
CLOSED: list[Client] = []
DESKS: list[Desk] = []
ENGINES: dict[str, Desk] = {}
APPS: dict[str, Desk] = {}
STARTED: list[list[str]] = []


@pytest.fixture
def client() -> Client:
    made = Client("Ada")
    CLIENTS.append(made)
    return made


@pytest.fixture
def visitor() -> Iterator[Client]:
    made = Client("Grace")
    yield made
    CLOSED.append(made)


@pytest.fixture(scope="class")
def desk() -> Desk:
    made = Desk()
    DESKS.append(made)
    return made


@pytest.fixture(scope="module")
def engine() -> Desk:
    return ENGINES.setdefault("main", Desk())


@pytest.fixture
def transaction(engine: Desk) -> Client:
    made = Client("transaction")
    engine.tickets.append(made)
    return made


@pytest.fixture(scope="session")
def app() -> Desk:
    return APPS.setdefault("main", Desk())


@pytest.fixture
def make_client(app: Desk) -> Callable[[str], Client]:
    def make(name: str) -> Client:
        made = Client(name)
        app.tickets.append(made)
        return made

    return make


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    CLIENTS.append(Client(request.param))
    return request.param


class Greeter:
    started = STARTED

    def setup_method(self) -> None:
        self.started.append(["setup"])


def test_function_fixture(client: Client) -> None:
    assert client.name == "Ada"


def test_finalizer(visitor: Client) -> None:
    assert visitor.name == "Grace"


class TestDesk:
    def test_class_fixture(self, desk: Desk) -> None:
        desk.tickets.append(Client("Edsger"))
        assert desk.tickets


def test_module_fixture(transaction: Client) -> None:
    assert transaction.name == "transaction"


def test_session_fixture(make_client: Callable[[str], Client]) -> None:
    assert make_client("Barbara").name == "Barbara"


def test_parametrized_fixture(scheme: str) -> None:
    assert scheme.startswith("http")


class TestGreeter(Greeter):
    def test_setup_method(self) -> None:
        assert self.started
