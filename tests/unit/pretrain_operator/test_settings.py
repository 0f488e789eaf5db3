import pytest

from pretrain_operator.settings import Settings, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()


def test_settings_are_read_from_the_environment() -> None:
    environment = {
        "PRETRAIN_NAMESPACE": "research",
        "PRETRAIN_PROGRESS_VIA": "apiserver",
        "PRETRAIN_WORKERS": "4",
        "PRETRAIN_RESYNC_SECONDS": "60",
        "PRETRAIN_PROBE_PORT": "8080",
        "PRETRAIN_LEASE": "system/operator",
        "POD_NAME": "operator-abc",
    }
    assert read_settings(environment) == Settings(
        "research", "apiserver", 4, 60.0, "system/operator", "operator-abc", 8080
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRETRAIN_PROGRESS_VIA", "pigeon"),
        ("PRETRAIN_WORKERS", "0"),
        ("PRETRAIN_WORKERS", "many"),
        ("PRETRAIN_RESYNC_SECONDS", "-1"),
        ("PRETRAIN_PROBE_PORT", "http"),
        ("PRETRAIN_LEASE", "operator"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_value(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: '{value}'"):
        read_settings({name: value})
