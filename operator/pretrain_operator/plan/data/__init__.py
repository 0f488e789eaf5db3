"""Planning of objects that produce an artifact: their stages, one after the other."""
