"""The API server as the node sees it: a client, and the objects that describe a pod."""
