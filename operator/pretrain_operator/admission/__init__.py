"""Whether an object is accepted: checked by itself, and together with what it refers to."""
