"""Messages of the command line for an API server that refuses or does not answer."""

import socket
from pathlib import Path

import pytest

from answering_server import serve, use_server
from pretrain_operator.cli.main import UNUSABLE, main


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"pretrainjobs": 403}, "refused to show PretrainJob run in namespace default: 403"),
        ({"pretrainjobs": 404}, "there is no PretrainJob 'run' in namespace 'default'"),
        (
            {"pretrainjobs": 200, "computeprofiles": 403},
            "refused to show the ComputeProfiles, which are cluster-wide: 403 Forbidden; use a",
        ),
        ({"pretrainjobs": 200, "computeprofiles": 500}, "cluster-wide: 500"),
    ],
)
def test_a_refusal_of_the_api_server_is_an_error_that_names_the_object(
    answers: dict[str, int],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve(answers) as port:
        use_server(monkeypatch, tmp_path, port)
        assert main(["plan", "run"]) == UNUSABLE
    output = capsys.readouterr().err
    assert output.startswith("error: ")
    assert message in output


def test_an_api_server_that_cannot_be_reached_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, but nothing listens
        port = bound.getsockname()[1]
        use_server(monkeypatch, tmp_path, port)
        assert main(["plan", "run"]) == UNUSABLE
    assert f"the API server http://127.0.0.1:{port} does not answer" in capsys.readouterr().err
