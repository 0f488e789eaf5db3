from tenant import operator, tenant

__all__ = ["operator", "tenant"]
