"""The process node: registers itself as a Node and runs the pods bound to it as processes."""
