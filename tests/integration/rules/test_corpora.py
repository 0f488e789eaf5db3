"""The API server itself refuses every wrong manifest, and accepts every right one."""

from pathlib import Path

import pytest
import yaml

from api_server import ApiServer
from pretrain_api.rules import check
from pretrain_api.rules.document import notes

pytestmark = pytest.mark.integration

TESTS = Path(__file__).resolve().parents[2]
WRONG = sorted((TESTS / "wrong_manifests").glob("*.yaml"))
RIGHT = sorted((TESTS / "right_manifests").glob("*.yaml"))


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_wrong_manifest_is_refused_with_its_message(api_server: ApiServer, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    manifest = yaml.safe_load(text)
    response = api_server.create(manifest["kind"], manifest["spec"])
    assert not response.is_accepted
    problems = check(manifest["kind"], manifest["spec"])
    # The messages about types and ranges are the server's own; those about rules are ours.
    if all(problem.rule != "schema" for problem in problems):
        assert sorted(response.causes) == sorted(notes(text)[2])


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_a_published_configuration_is_accepted(api_server: ApiServer, path: Path) -> None:
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    response = api_server.create(manifest["kind"], manifest["spec"])
    assert response.is_accepted, response.causes
