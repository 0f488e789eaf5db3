"""Planning of PretrainJobs: their attempts, one after the other."""
