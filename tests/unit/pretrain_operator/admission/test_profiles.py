import pytest

from builders import gpu_profile_spec, make_object
from pretrain_api.meta import DEFAULT_PROFILE_ANNOTATION, Reference
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.plan.placement import plan_placement

MARKED = {DEFAULT_PROFILE_ANNOTATION: "true"}


def test_the_named_profile_is_used() -> None:
    gpu = make_object("ComputeProfile", "gpu", spec=gpu_profile_spec())
    profiles = [make_object("ComputeProfile", "cpu", annotations=MARKED), gpu]
    assert choose_profile(Reference(name="gpu"), profiles, "team-a").accelerator.name == "h100"


def test_without_a_name_the_marked_profile_is_used() -> None:
    gpu = make_object("ComputeProfile", "gpu", spec=gpu_profile_spec(), annotations=MARKED)
    assert choose_profile(
        None, [make_object("ComputeProfile", "cpu"), gpu], "team-a"
    ).accelerator.resource


def test_without_a_name_the_only_profile_is_used() -> None:
    assert (
        choose_profile(None, [make_object("ComputeProfile", "cpu")], "team-a").accelerator.name
        == "cpu"
    )


@pytest.mark.parametrize(
    ("names", "marked", "want"),
    [
        ([], [], "there is no ComputeProfile at all"),
        (["a", "b"], [], "there are a, b"),
        (["a", "b"], ["a", "b"], "a, b all have"),
    ],
)
def test_an_ambiguous_default_is_an_error_that_names_the_candidates(
    names: list[str], marked: list[str], want: str
) -> None:
    profiles = [
        make_object("ComputeProfile", name, annotations=MARKED if name in marked else {})
        for name in names
    ]
    with pytest.raises(DependencyNotReady, match=want):
        choose_profile(None, profiles, "team-a")


def test_a_missing_profile_is_an_error_that_names_the_existing_ones() -> None:
    with pytest.raises(DependencyNotReady, match="there is no ComputeProfile 'gpu'; there are cpu"):
        choose_profile(Reference(name="gpu"), [make_object("ComputeProfile", "cpu")], "team-a")


def test_an_invalid_profile_is_an_error_with_its_problems() -> None:
    broken = make_object("ComputeProfile", "cpu", spec={"accelerator": {"perNode": 0}})
    with pytest.raises(DependencyNotReady, match=r"cpu is invalid: spec\.accelerator\.perNode: 0"):
        choose_profile(None, [broken], "team-a")


@pytest.mark.parametrize(("cpu", "want"), [("64", "8"), ("500m", "1"), ("20.5", "2")])
def test_the_threads_of_a_process_are_its_share_of_the_cores(cpu: str, want: str) -> None:
    profile = ComputeProfileSpec.model_validate(
        gpu_profile_spec(pods={"trainer": {"cpu": cpu, "memory": "1Gi"}})
    )
    assert plan_placement(profile, "trainer").env["OMP_NUM_THREADS"] == want


def test_only_trainers_get_devices() -> None:
    profile = ComputeProfileSpec.model_validate(gpu_profile_spec())
    assert plan_placement(profile, "trainer", 4).devices == 4
    assert plan_placement(profile, "data").device_resource is None


def test_a_placement_has_another_digest_when_the_image_changes() -> None:
    profile = ComputeProfileSpec.model_validate(gpu_profile_spec())
    images = profile.images.model_copy(update={"trainer": "registry.example/other:1"})
    changed = profile.model_copy(update={"images": images})
    one, other = plan_placement(profile, "trainer"), plan_placement(changed, "trainer")
    assert one.digest != other.digest
    assert plan_placement(profile, "data").digest == plan_placement(changed, "data").digest


@pytest.mark.parametrize(
    ("patterns", "is_allowed"),
    [
        ([], True),
        (["team-a"], True),
        (["team-*"], True),
        (["*"], True),
        (["team-b"], False),
        (["a"], False),
        (["prod-*", "*-a"], True),
    ],
)
def test_a_profile_may_be_for_some_namespaces_only(patterns: list[str], is_allowed: bool) -> None:
    own = make_object("ComputeProfile", "own", spec={"allowedNamespaces": patterns})
    if is_allowed:
        choose_profile(Reference(name="own"), [own], "team-a")
        choose_profile(None, [own], "team-a")
        return
    with pytest.raises(DependencyNotReady, match="'own' is not for namespace 'team-a'"):
        choose_profile(Reference(name="own"), [own], "team-a")
    with pytest.raises(DependencyNotReady, match="there is no ComputeProfile at all"):
        choose_profile(None, [own], "team-a")


def test_a_manifest_without_a_namespace_may_use_any_profile() -> None:
    own = make_object("ComputeProfile", "own", spec={"allowedNamespaces": ["team-a"]})
    assert choose_profile(Reference(name="own"), [own], "")
    assert choose_profile(None, [own], "")


def test_a_profile_for_other_namespaces_is_neither_a_default_nor_named_as_an_alternative() -> None:
    other = make_object(
        "ComputeProfile", "other", spec={"allowedNamespaces": ["prod"]}, annotations=MARKED
    )
    cpu = make_object("ComputeProfile", "cpu")
    assert choose_profile(None, [other, cpu], "team-a").accelerator.name == "cpu"
    with pytest.raises(DependencyNotReady) as caught:
        choose_profile(Reference(name="gpu"), [other, cpu], "team-a")
    assert "there are cpu" in str(caught.value)
    assert "other" not in str(caught.value)
