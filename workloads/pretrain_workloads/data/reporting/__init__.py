"""Describe an artifact of documents: the summary, `report.json` and `report.html`."""
