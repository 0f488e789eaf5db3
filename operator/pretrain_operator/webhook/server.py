"""The HTTP server of the webhook: AdmissionReviews, and the probes for readiness and liveness."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from pretrain_api.problems import InvalidManifest
from pretrain_operator.admission.runs import AdmissionResult, admission_request
from pretrain_operator.observed.objects import ObjectReader
from pretrain_operator.webhook.planning import Planning
from pretrain_operator.webhook.reviews import (
    ReviewRequest,
    admit_update,
    build_review,
    parse_review,
)

_LARGEST_BODY = 8 * 2**20
_NOT_READY = "the profiles, datasets and tokenizers of the cluster have not been read yet\n"


async def answer_review(value: object, objects: ObjectReader, planning: Planning) -> dict[str, Any]:
    """Return the AdmissionReview with the response to `value`.

    Raises:
        InvalidManifest: If `value` is no AdmissionReview.
    """
    request = parse_review(value)
    return build_review(request, await _admit(request, objects, planning))


async def _admit(
    request: ReviewRequest, objects: ObjectReader, planning: Planning
) -> AdmissionResult:
    if not request.needs_check:
        return AdmissionResult()
    if request.is_update:
        return admit_update(request)
    run = admission_request(request.key, request.spec, objects)
    return run if isinstance(run, AdmissionResult) else await planning.admit(run)


def make_app(objects: Callable[[], ObjectReader | None], planning: Planning) -> web.Application:
    """Return the application: `POST /validate`, `GET /healthz` (readiness) and `GET /livez`.

    `objects` returns those of the cluster, or `None` until they have been listed once.
    """

    async def validate(request: web.Request) -> web.Response:
        reader = objects()
        if reader is None:
            return web.Response(status=503, text=_NOT_READY)
        try:
            value = json.loads(await request.read())
        except (ValueError, RecursionError) as error:
            return web.Response(status=400, text=f"the body is no JSON: {error}\n")
        try:
            return web.json_response(await answer_review(value, reader, planning))
        except InvalidManifest as error:
            return web.Response(status=400, text=f"{error}\n")

    async def ready(_: web.Request) -> web.Response:
        if objects() is None:
            return web.Response(status=503, text=_NOT_READY)
        return web.Response(text="ok\n")

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_post("/validate", validate)
    app.router.add_get("/healthz", ready)
    app.router.add_get("/livez", alive)
    return app
