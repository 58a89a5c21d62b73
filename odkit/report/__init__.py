"""One self-contained HTML page about a scored data set: `odkit report`."""

from odkit.report.page import report_html, write_report
from odkit.report.reading import Material, gather

__all__ = ["Material", "gather", "report_html", "write_report"]
