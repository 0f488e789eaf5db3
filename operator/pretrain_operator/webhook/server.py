"""Serve AdmissionReviews: one verdict a request, and whether there is anything to judge by yet."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from pretrain_api.problems import InvalidManifest
from pretrain_operator.admission.runs import AdmissionResult, admission_request
from pretrain_operator.observed.objects import ObjectReader
from pretrain_operator.webhook.planning import Planning
from pretrain_operator.webhook.reviews import Review, build_answer, judge_change, parse_review

_LARGEST_BODY = 8 * 2**20
_NOT_READY = "the profiles, datasets and tokenizers of the cluster have not been read yet\n"


async def answer_review(value: object, objects: ObjectReader, planning: Planning) -> dict[str, Any]:
    """Return the AdmissionReview that answers `value`.

    Raises:
        InvalidManifest: If `value` is no AdmissionReview.
    """
    review = parse_review(value)
    return build_answer(review, await _judge(review, objects, planning))


async def _judge(review: Review, objects: ObjectReader, planning: Planning) -> AdmissionResult:
    if not review.is_concern:
        return AdmissionResult()
    if review.is_change:
        return judge_change(review)
    request = admission_request(review.key, review.spec, objects)
    return request if isinstance(request, AdmissionResult) else await planning.admit(request)


def make_app(objects: Callable[[], ObjectReader | None], planning: Planning) -> web.Application:
    """Return the application: `POST /validate`, `GET /healthz` (ready?) and `GET /livez`.

    `objects` are those of the cluster, `None` until they have been listed once.
    """

    async def validate(request: web.Request) -> web.Response:
        known = objects()
        if known is None:
            return web.Response(status=503, text=_NOT_READY)
        try:
            value = json.loads(await request.read())
        except (ValueError, RecursionError) as error:
            return web.Response(status=400, text=f"the body is no JSON: {error}\n")
        try:
            return web.json_response(await answer_review(value, known, planning))
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
