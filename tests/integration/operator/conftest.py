from workplace import operator, workplace

__all__ = ["operator", "workplace"]
