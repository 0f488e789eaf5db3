from cluster import local_cluster, namespace

__all__ = ["local_cluster", "namespace"]
