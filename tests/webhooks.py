"""The admission webhook as its own process beside a cluster, configured as the chart does it."""

import base64
import json
import os
import re
import ssl
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import yaml

from cluster import ROOT, Namespace, wait_until
from pretrain_local.addresses import free_port
from pretrain_local.control_plane.pki import Authority, Identity
from pretrain_local.processes import Processes

CHART = ROOT / "charts" / "pretrain-operator"
_NAME = "webhook"
_GRACE_SECONDS = 10
_PLACEHOLDER = re.compile(r"\{\{ \.Release\.(Name|Namespace) \}\}")


def chart_manifests(template: str, release: str, namespace: str) -> list[dict[str, Any]]:
    """Return the manifests of a template that asks for nothing but the release."""
    text = (CHART / "templates" / template).read_text(encoding="utf-8")
    names = {"Name": release, "Namespace": namespace}
    text = _PLACEHOLDER.sub(lambda found: names[found[1]], text)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("{{-"))
    return list(yaml.safe_load_all(text))


def chart_webhook() -> dict[str, Any]:
    """Return what the chart tells the API server of the webhook, but for its place."""
    text = (CHART / "files" / "webhook.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


class WebhookProcess:
    """A running webhook with the chart's rights; leave the context to stop it."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self._namespace, self._folder = namespace, folder
        self._processes = Processes(folder, folder)
        self._authority = Authority(folder)
        self._kubeconfig, server = self._sign_in()
        self.host = urlsplit(server).hostname or ""
        self.port = free_port(self.host, 9443)
        self.issue("first")

    @property
    def url(self) -> str:
        """Return where it serves."""
        return f"https://{self.host}:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """Return a context that trusts its certificates."""
        return ssl.create_default_context(cafile=self._folder / "ca.crt")

    def issue(self, common_name: str) -> None:
        """Give it a new certificate, as a renewed Secret would."""
        self._authority.issue([Identity("tls", common_name, addresses=(self.host,))])

    def configure(self, failure_policy: str) -> None:
        """Tell the API server of it, as the chart does but for its place."""
        bundle = base64.b64encode((self._folder / "ca.crt").read_bytes()).decode()
        place = {"url": f"{self.url}/validate", "caBundle": bundle}
        webhook = chart_webhook() | {"failurePolicy": failure_policy, "clientConfig": place}
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self._namespace.name},
            "webhooks": [webhook],
        }
        self._namespace.apply(configuration)

    def get(self, path: str) -> int:
        """Return the status of an answer."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", context=self.trust) as answer:
                return int(answer.status)
        except HTTPError as error:
            error.close()
            return error.code

    def start(self) -> None:
        """Start it; return when it is ready."""
        command = [
            *(sys.executable, "-m", "pretrain_operator.webhook"),
            *("--certificate", str(self._folder / "tls.crt"), "--key"),
            *(str(self._folder / "tls.key"), "--host", self.host, "--port", str(self.port)),
            *("--refresh-seconds", "0.2"),
        ]
        variables = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "PYTHONSAFEPATH": "1"}
        self._processes.start(_NAME, command, variables)
        wait_until(self._is_ready, "the webhook", show=lambda: self._processes.tail(_NAME))

    def stop(self) -> None:
        """End it as a node would."""
        self._processes.stop(_NAME, _GRACE_SECONDS)

    def said(self) -> str:
        """Return what it wrote."""
        return self._processes.log(_NAME).read_text(encoding="utf-8")

    def _is_ready(self) -> bool | None:
        try:
            return self.get("/healthz") == 200 or None
        except (URLError, ConnectionError):
            return None

    def _sign_in(self) -> tuple[Path, str]:
        """Write a kubeconfig of the chart's service account; return it and the API server."""
        name = self._namespace.name
        manifests = chart_manifests("webhook-rbac.yaml", name, name)
        self._namespace.apply(*manifests)
        token = self._namespace.kubectl("create", "token", f"{name}-webhook").strip()
        text = self._namespace.kubectl("config", "view", "--raw", "--minify", "-o", "json")
        config = json.loads(text)
        config["users"] = [
            {"name": user["name"], "user": {"token": token}} for user in config["users"]
        ]
        path = self._folder / "kubeconfig"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path, config["clusters"][0]["cluster"]["server"]

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End it."""
        self.stop()
