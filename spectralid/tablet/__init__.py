"""The officer's tablet: the flow of field work as a Python object, and its screen as a local web page."""

from spectralid.tablet.item import ItemView
from spectralid.tablet.unit import FieldUnit, ScanResult

__all__ = ["FieldUnit", "ItemView", "ScanResult"]
