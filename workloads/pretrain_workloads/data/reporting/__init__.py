"""Describe an artifact of documents: the summary, `report.json` and `report.html`.

`summary.py` counts, `details.py` puts `report.json` together, `page.py` renders it.
"""
