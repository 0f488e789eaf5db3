"""Find exact and near-duplicate documents, and decide which document of a cluster stays."""
