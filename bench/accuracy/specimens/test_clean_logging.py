"""Logging and warnings, as tests use them."""

from __future__ import annotations

import io
import logging
import warnings

import pytest


LOG = logging.getLogger("clean.shop")


def test_messages() -> None:
    logging.getLogger("clean.shop.orders").warning("order %d refunded", 7)


def test_levels() -> None:
    assert not LOG.isEnabledFor(logging.DEBUG)
    LOG.debug("not shown")


def test_handler_taken_off() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    LOG.addHandler(handler)
    LOG.error("seen")
    LOG.removeHandler(handler)
    assert "seen" in stream.getvalue()


def test_exception_logged() -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        LOG.exception("caught")


def test_caplog(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="clean.shop"):
        LOG.info("hello %s", "you")
    assert caplog.messages == ["hello you"]


def test_warning_expected() -> None:
    with pytest.warns(UserWarning, match="old"):
        warnings.warn("old name", UserWarning, stacklevel=1)


def test_warning_ignored() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("quiet", DeprecationWarning, stacklevel=1)


def test_warnings_recorded(recwarn: pytest.WarningsRecorder) -> None:
    warnings.warn("noted", UserWarning, stacklevel=1)
    assert len(recwarn) == 1


def test_warning_once() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("once")
        warnings.warn("once", UserWarning, stacklevel=1)
    assert len(seen) <= 1
