"""Raw text becomes clean, deduplicated, labelled documents: the six stages of a DataPipeline.

    list ─► prepare ×N ─► match ×N ─► decide ─► write ×N ─► report

A stage is a plain function; batches of documents (`batch.py`) pass through `prepare`. Stages hand
over through files in the artifact's folder (`files.py`). A stage may be killed and run again at any
time, because the files of a task appear complete or not at all. The result does not depend on the
number of tasks.

Below the stages: `sources` reads files, `text` normalises text and detects its language, `rules`
drops documents, `decontamination` those with text of benchmarks, `scrub` masks personal data,
`dedup` finds duplicates, `reporting` describes the artifact.
"""
