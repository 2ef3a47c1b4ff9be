"""The programs of .ci/, which are no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    """A program of .ci/ by its file name."""
    path = ROOT / ".ci" / name
    loader = SourceFileLoader(f"ci_{path.stem}", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def lock() -> ModuleType:
    return load("lock.py")


@pytest.fixture(scope="session")
def audit() -> ModuleType:
    return load("audit.py")


@pytest.fixture(scope="session")
def licences() -> ModuleType:
    pytest.importorskip("license_expression", reason="the extra [release] is not installed")
    return load("licences.py")


@pytest.fixture(scope="session")
def sbom(licences: ModuleType) -> ModuleType:
    pytest.importorskip("cyclonedx.validation.json", reason="the extra [release] is not installed")
    pytest.importorskip("rfc3987_syntax", reason="the extra [release] is not installed")
    module = load("sbom.py")
    try:
        module.product.as_locked(module.product.closure(module.product.PRODUCT_EXTRAS))
    except module.product.NotAsLockedError as error:
        pytest.skip(str(error))
    return module
