"""Choose the ComputeProfile of an object."""

from collections.abc import Sequence

from pretrain_api.conditions import Reason
from pretrain_api.meta import DEFAULT_PROFILE_ANNOTATION, Reference
from pretrain_api.problems import InvalidManifest
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.objects import ObservedObject, read_spec


def choose_profile(
    ref: Reference | None, profiles: Sequence[ObservedObject], namespace: str
) -> ComputeProfileSpec:
    """Return the profile that `ref` names; without `ref`, the default or the only profile.

    Args:
        ref: `spec.profileRef` of an object.
        profiles: All of the cluster; those for other namespaces do not count.
        namespace: The object's namespace. Empty means that a manifest does not say it, so that
            every profile counts.

    Raises:
        DependencyNotReady: If there is no such profile, more than one default, or it is invalid.
    """
    allowed = [profile for profile in profiles if _is_for(profile, namespace)]
    if ref and ref.name in {profile.key.name for profile in profiles if profile not in allowed}:
        raise DependencyNotReady(
            Reason.PROFILE_NOT_FOUND,
            f"spec.profileRef.name: ComputeProfile {ref.name!r} is not for namespace "
            f"{namespace!r} (its spec.allowedNamespaces); {_available(allowed)}",
        )
    profile = _named(ref.name, allowed) if ref else _default(allowed)
    try:
        return read_spec(ComputeProfileSpec, profile)
    except InvalidManifest as error:
        name = profile.key.name
        raise DependencyNotReady(
            Reason.PROFILE_NOT_FOUND, f"ComputeProfile {name} is invalid: {error}"
        ) from None


def _is_for(profile: ObservedObject, namespace: str) -> bool:
    try:
        return not namespace or read_spec(ComputeProfileSpec, profile).is_for(namespace)
    except InvalidManifest:
        return True  # whoever uses it is told what is wrong with it


def _named(name: str, profiles: Sequence[ObservedObject]) -> ObservedObject:
    for profile in profiles:
        if profile.key.name == name:
            return profile
    raise DependencyNotReady(
        Reason.PROFILE_NOT_FOUND,
        f"spec.profileRef.name: there is no ComputeProfile {name!r}; {_available(profiles)}",
    )


def _default(profiles: Sequence[ObservedObject]) -> ObservedObject:
    marked = [p for p in profiles if p.annotations.get(DEFAULT_PROFILE_ANNOTATION) == "true"]
    candidates = marked or list(profiles)
    if len(candidates) == 1:
        return candidates[0]
    marking = f'the annotation {DEFAULT_PROFILE_ANNOTATION}: "true"'
    if marked:
        names = ", ".join(sorted(p.key.name for p in marked))
        why = f"the ComputeProfiles {names} all have {marking}; remove it from all but one"
    else:
        why = f"set it, or give one ComputeProfile {marking}; {_available(profiles)}"
    raise DependencyNotReady(Reason.PROFILE_NOT_FOUND, f"spec.profileRef is not set: {why}")


def _available(profiles: Sequence[ObservedObject]) -> str:
    names = sorted(profile.key.name for profile in profiles)
    return f"there are {', '.join(names)}" if names else "there is no ComputeProfile at all"
