"""Union-find: join documents into clusters, one edge at a time."""


class UnionFind:
    """Disjoint sets of document numbers; the root of a set is its smallest number."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def root(self, number: int) -> int:
        """Return the smallest number in the set of `number`."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, left: int, right: int) -> bool:
        """Join two sets; return whether they were different."""
        left, right = self.root(left), self.root(right)
        if left == right:
            return False
        self._parents[max(left, right)] = min(left, right)
        return True
