"""Shops whose CRM is a Records server, as the end-to-end tests have them."""

from __future__ import annotations

from tests.e2e.conftest import _logging, open_shop

__all__ = ["_logging", "open_shop"]
