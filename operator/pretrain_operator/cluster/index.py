"""An index over the objects of one kind; an older version that arrives late is ignored."""

from collections import defaultdict
from dataclasses import dataclass, field

from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.observed.pods import ObservedPod

type Item = ObservedObject | ObservedJob | ObservedPod

type NamespacedName = tuple[str, str]
"""Namespace, empty for cluster-scoped kinds, and name."""


@dataclass
class Index[T: Item]:
    """The newest version of each object of one kind, by name and by owner."""

    items: dict[NamespacedName, T] = field(default_factory=dict)
    owners: dict[NamespacedName, Key] = field(default_factory=dict)
    owned: defaultdict[Key, set[NamespacedName]] = field(default_factory=lambda: defaultdict(set))

    def upsert(self, key: NamespacedName, item: T, owner: Key | None) -> bool:
        """Store an object, unless the stored version is as new; return whether it was stored."""
        old = self.items.get(key)
        if old is not None and not is_newer(item, old):
            return False
        self.items[key] = item
        self._disown(key)  # its labels may have changed
        if owner is not None:
            self.owners[key] = owner
            self.owned[owner].add(key)
        return True

    def drop(self, key: NamespacedName) -> None:
        """Remove an object."""
        self.items.pop(key, None)
        self._disown(key)

    def of(self, owner: Key) -> list[T]:
        """Return the objects of one owner, by name."""
        return [self.items[key] for key in sorted(self.owned.get(owner, ()))]

    def _disown(self, key: NamespacedName) -> None:
        owner = self.owners.pop(key, None)
        if owner is not None:
            self.owned[owner].discard(key)
            if not self.owned[owner]:
                del self.owned[owner]


def is_newer(item: Item, old: Item) -> bool:
    """Return whether `item` is a later version than `old`."""
    return version_number(item.resource_version) > version_number(old.resource_version)


def version_number(version: str) -> int:
    """Return a resourceVersion as a number; Kubernetes guarantees their order since 1.35."""
    return int(version) if version.isdigit() else 0
