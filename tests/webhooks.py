"""The admission webhook as a process beside a cluster, configured as the Helm chart does it."""

import base64
import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import yaml

from cluster import Namespace, wait_until
from helm import CHART, Helm
from pretrain_local.addresses import free_port
from pretrain_local.control_plane.authority import CertificateAuthority
from pretrain_local.control_plane.certificate_requests import CertificateRequest
from pretrain_local.operator_process import OperatorProcess


def chart_webhook() -> dict[str, Any]:
    """Return the webhook's configuration in the chart, without its address."""
    text = (CHART / "files" / "webhook.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


class WebhookProcess(OperatorProcess):
    """A running webhook with the rights of the chart's service account."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self._namespace, self._folder = namespace, folder
        self._authority = CertificateAuthority(folder)
        kubeconfig, server = self._sign_in()
        self.host = urlsplit(server).hostname or ""
        self.port = free_port(self.host, 9443)
        self.issue("first")
        module = (
            "pretrain_operator.webhook",
            *("--certificate", str(folder / "tls.crt"), "--key", str(folder / "tls.key")),
            *("--host", self.host, "--port", str(self.port), "--refresh-seconds", "0.2"),
        )
        super().__init__(kubeconfig, folder, "webhook", module)

    @property
    def url(self) -> str:
        """Return the address where it serves."""
        return f"https://{self.host}:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """Return a context that trusts its certificates."""
        return ssl.create_default_context(cafile=self._folder / "ca.crt")

    def issue(self, common_name: str) -> None:
        """Replace its certificate, as a renewed Secret would."""
        request = CertificateRequest("tls", common_name, addresses=(self.host,))
        self._authority.issue([request])

    def configure(self, failure_policy: str) -> None:
        """Register it with the API server: the chart's configuration with its URL."""
        bundle = base64.b64encode((self._folder / "ca.crt").read_bytes()).decode()
        client_config = {"url": f"{self.url}/validate", "caBundle": bundle}
        webhook = chart_webhook() | {
            "failurePolicy": failure_policy,
            "clientConfig": client_config,
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self._namespace.name},
            "webhooks": [webhook],
        }
        self._namespace.apply(configuration)

    def get(self, path: str) -> int:
        """Return the status of the response to a GET request."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", context=self.trust) as response:
                return int(response.status)
        except HTTPError as error:
            error.close()
            return error.code

    def start(self) -> None:
        """Start it; return when it is ready."""
        super().start()
        wait_until(self._is_ready, "the webhook", show=self.tail)

    def _is_ready(self) -> bool | None:
        try:
            return self.get("/healthz") == 200 or None
        except (URLError, ConnectionError):
            return None

    def _sign_in(self) -> tuple[Path, str]:
        """Write a kubeconfig of the chart's service account; return it and the API server."""
        name = self._namespace.name
        options = ("--set=webhook.enabled=true", "--show-only=templates/webhook/rbac.yaml")
        manifests = Helm(namespace=name).template(*options, release=name)
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
