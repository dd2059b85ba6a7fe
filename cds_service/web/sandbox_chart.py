"""/sandbox/patients/ID: the record of a made-up patient, the cards beside it, and every message behind them.

Everything that changes something is a POST that leads back to the record, so that to go back or to load again is
harmless. What a card links to is opened by its place on the card, never by an address in the request.
"""

from collections.abc import Sequence

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as Redirect

from cds_content.shapes import LANGUAGES, Json
from cds_service.errors import BadRequest, NotFound
from cds_service.sandbox import Chart, Ehr, Fired
from cds_service.web import Deployment
from cds_service.web.pages import page, pages, spoken
from cds_service.web.review import title
from cds_service.web.sandbox import SEE_OTHER
from cds_service.web.sandbox_cards import card_of, launched, reasons, shown_cards
from cds_service.web.sandbox_exchanges import messages
from cds_service.web.sandbox_record import age, entries, screening_of

CHART = "/sandbox/patients/<id_>"
HOOKS = ("patient-view", "encounter-start", "problem-list-item-create")  # those that a button fires by itself
_OWN = ".questionnaire-response"  # how the hook of a service for a response in hand ends
_WHOSE = ("conditions", "orders", "drafts", "appointments", "tasks", "plans")  # what is listed under the responses

_Ground = tuple[Sequence[Json], frozenset[str], str, str]  # responses, switches, address of the service, language
_Seen = dict[str, _Ground]  # patient → what the cards rested on when they were last seen


def routes(service: Deployment, ehr: Ehr) -> Blueprint:
    """The record, and what can be done with it."""
    blueprint = pages("sandbox_chart", service)
    seen: _Seen = {}
    _add_looks(blueprint, service, ehr, seen)
    _add_steps(blueprint, ehr, seen)
    _add_answers(blueprint, ehr)
    return blueprint


def _add_looks(blueprint: Blueprint, service: Deployment, ehr: Ehr, seen: _Seen) -> None:
    @blueprint.get(CHART)
    def chart(id_: str) -> Response:
        return _chart(service, ehr, _opened(ehr, seen, id_))

    @blueprint.get(f"{CHART}/form/<screening>")
    def form(id_: str, screening: str) -> Redirect:
        return redirect(ehr.form(id_, screening), SEE_OTHER)

    @blueprint.get(f"{CHART}/launch")
    def launch(id_: str) -> Redirect:
        """A uuid may hold anything, also a slash: that is why it stands in the query."""
        card = card_of(ehr.chart(id_).hook, request.args.get("card", ""))
        url, app_context = launched(card, request.args.get("link", -1, type=int))
        if not url:
            raise NotFound("this card has no such link; go back to the record and choose one that is there")
        return redirect(ehr.launch(id_, url, app_context), SEE_OTHER)


def _opened(ehr: Ehr, seen: _Seen, id_: str) -> Chart:
    """The record, opened: the first time, and when what its cards rest on has changed since it was seen.

    So the card is there when somebody comes back from the form; a reload alone changes nothing.
    """
    last, now = ehr.chart(id_).hook, _rests_on(ehr, id_)
    *before, spoke = seen.get(id_, now)
    *after, language = now
    repeatable = last is not None and last.hook == HOOKS[0] and not last.heeded
    if last is None or before != after or (spoke != language and repeatable):
        ehr.fire(id_, HOOKS[0], language=language)
    seen[id_] = now
    return ehr.chart(id_)


def _rests_on(ehr: Ehr, id_: str) -> _Ground:
    return ehr.chart(id_).responses, ehr.switches, ehr.address, spoken()


def _add_steps(blueprint: Blueprint, ehr: Ehr, seen: _Seen) -> None:
    def stepped(id_: str) -> Redirect:
        seen[id_] = _rests_on(ehr, id_)
        return _back(id_)

    @blueprint.post(f"{CHART}/hook")
    def hook(id_: str) -> Redirect:
        ehr.fire(id_, _hook(ehr, request.form.get("hook", "")), language=spoken())
        return stepped(id_)

    @blueprint.post(f"{CHART}/replay")
    def replay(id_: str) -> Redirect:
        ehr.replay(id_, language=spoken())
        return stepped(id_)

    @blueprint.post(f"{CHART}/order")
    def order(id_: str) -> Redirect:
        ehr.order(id_, request.form.get("kind", ""), language=spoken())
        return stepped(id_)

    @blueprint.post(f"{CHART}/sign")
    def sign(id_: str) -> Redirect:
        ehr.sign(id_, language=spoken())
        return stepped(id_)

    @blueprint.post(f"{CHART}/book")
    def book(id_: str) -> Redirect:
        ehr.book(id_, request.form.get("kind", ""), language=spoken())
        return stepped(id_)

    @blueprint.post(f"{CHART}/remove")
    def remove(id_: str) -> Redirect:
        ehr.remove(id_, request.form.get("response", ""))
        return _back(id_, "record")


def _add_answers(blueprint: Blueprint, ehr: Ehr) -> None:
    @blueprint.post(f"{CHART}/accept")
    def accept(id_: str) -> Redirect:
        ehr.accept(id_, request.form.get("card", ""), request.form.get("suggestion", ""))
        return _back(id_)

    @blueprint.post(f"{CHART}/dismiss")
    def dismiss(id_: str) -> Redirect:
        card = card_of(ehr.chart(id_).hook, request.form.get("card", ""))
        reason = _reason(card, request.form.get("reason", ""))
        ehr.dismiss(id_, request.form.get("card", ""), reason, request.form.get("comment", "").strip())
        return _back(id_)


def _back(id_: str, place: str = "cards") -> Redirect:
    return redirect(f"/sandbox/patients/{id_}#{place}", SEE_OTHER)


def _hook(ehr: Ehr, name: str) -> str:
    """The name of a hook that a button may fire. Raises BadRequest."""
    known = (*HOOKS, *own_hooks(ehr))
    if name not in known:
        raise BadRequest(f"hook: is not offered here; write one of: {', '.join(known)}")
    return name


def own_hooks(ehr: Ehr) -> tuple[str, ...]:
    """The hooks of the service in use that look at a response in hand."""
    hooks = (one.get("hook") for one in ehr.services)
    return tuple(dict.fromkeys(hook for hook in hooks if isinstance(hook, str) and hook.endswith(_OWN)))


def _reason(card: Json, chosen: str) -> Json | None:
    """The reason at this place of the card; None where none was chosen. Raises BadRequest."""
    offered = {str(index): coding for index, coding in enumerate(reasons(card))}
    if chosen and chosen not in offered:
        raise BadRequest("reason: this card has no such reason; go back to the record and choose one that is there")
    return offered.get(chosen)


def _language(fired: Fired | None) -> str:
    """The language of the cards as their service names it, for who has a page read aloud; else that of the page."""
    headers = fired.exchanges[0].response_headers if fired and fired.exchanges else {}
    named = next((value for name, value in headers.items() if name.lower() == "content-language"), "")
    return named if named in LANGUAGES else spoken()


def _chart(service: Deployment, ehr: Ehr, chart: Chart) -> Response:
    fired = chart.hook
    titles = {one.questionnaire["url"]: title(one) for one in service.screenings}
    titles |= {code: coding["display"] for one in service.screenings for code, coding in one.codes.items()}
    return page(
        "sandbox-chart.html.jinja",
        ehr=ehr,
        chart=chart,
        age=age(chart.person.birth_date, service.now()),
        responses=entries(chart.responses, titles, chart.person.id),
        recorded={name: entries(getattr(chart, name), titles, chart.person.id) for name in _WHOSE},
        screenings=service.screenings,
        title=title,
        fired=fired,
        cards=shown_cards(fired) if fired else (),
        cards_lang=_language(fired),
        messages=messages(fired.exchanges, service.public) if fired else (),
        hooks=HOOKS,
        own_hooks=own_hooks(ehr),
        own=service.public,
        comparable=any(screening_of(one, service.screenings) for one in chart.responses),
    )
