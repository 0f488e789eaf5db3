"""Raw text becomes clean, deduplicated, labelled documents: the six stages of a DataPipeline.

    list ─► prepare ×N ─► match ×N ─► decide ─► write ×N ─► report

Stages are datatrove pipeline steps, and hand over through files in the artifact's folder
(`layout.py`). A stage may be killed and run again at any point: what a task gives others appears
complete or not at all. The result does not depend on the number of tasks.
"""
