"""All candidates → the catalogue's models: routes of the same model under one id, with all its names. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from msgspec import structs

from catalogue_build.candidates import VENDORS, Candidate
from catalogue_build.facts import Unusable
from catalogue_build.names import (
    KNOWN_AS,
    MAKER_OF_VENDOR,
    Identity,
    display_name,
    identity,
    is_careful,
    without_profile,
)
from catalogue_build.prices import NotPriced
from catalogue_build.routes import Disagreement, Draft, draft, route_of, with_borrowed_facts
from schemas.catalogue import Model, ModelKind

_VENDOR_ORDER = {vendor: place for place, vendor in enumerate(VENDORS)}
# A deployment at Azure is named by its owner, mostly like the model and without a date.
_CALLED_WITHOUT_DATE = frozenset({"azure", "openrouter"})

_Group = tuple[ModelKind, Identity]


@dataclass
class Built:
    """`left_out`: why → routes."""

    models: tuple[Model, ...] = ()
    disagreements: list[Disagreement] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def build_models(found: Iterable[Candidate], today: date) -> Built:
    built = Built()
    left_out: dict[str, list[str]] = defaultdict(list)
    drafts: list[Draft] = []
    for candidate in found:
        try:
            drafts.append(draft(candidate, today))
        except (NotPriced, Unusable) as reason:
            left_out[str(reason)].append(f"{candidate.vendor}/{candidate.vendor_model}")
    models: dict[str, Model] = {}
    for (kind, who), members in sorted(_groups(drafts).items(), key=lambda item: (item[0][0], _sort_key(item[0][1]))):
        chosen = _one_per_vendor(with_borrowed_facts(members), who)
        if not chosen:
            left_out["no source knows what it can do"] += [each.name for each in members]
            continue
        model = _model(kind, who, chosen, members, _model_id(who, chosen, models))
        models[model.model_id] = model
        built.disagreements += [row for each in chosen for row in each.disagreements]
    built.models = tuple(sorted(_with_unique_names(models.values()), key=lambda each: (each.provider, each.model_id)))
    built.left_out = {reason: sorted(names) for reason, names in sorted(left_out.items())}
    return built


def _groups(drafts: Iterable[Draft]) -> Mapping[_Group, list[Draft]]:
    """A model of which there is one snapshot is that snapshot. Of several, each is a model of its own, and so is the
    name without a date: who pins a snapshot must never be served another."""
    known = [(each, identity(each.candidate.vendor, each.candidate.vendor_model)) for each in drafts]
    days: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, who in known:
        if who.day is not None:
            days[(who.maker, who.stem)].add(who.day)
    groups: dict[_Group, list[Draft]] = defaultdict(list)
    for each, who in known:
        several = len(days[(who.maker, who.stem)]) > 1
        groups[(each.candidate.kind, who if several else Identity(who.maker, who.stem))].append(each)
    return groups


def _one_per_vendor(members: Iterable[Draft], who: Identity) -> list[Draft]:
    """Of a vendor's several names for one model the most exact: the dated one, which keeps its meaning."""
    best: dict[tuple[str, str | None], Draft] = {}
    for each in sorted(members, key=lambda each: _preference(each, who)):
        best.setdefault((each.candidate.vendor, each.candidate.region), each)
    return sorted(best.values(), key=lambda each: _route_order(each, who.maker))


def _preference(each: Draft, who: Identity) -> tuple[bool, bool, bool, str]:
    vendor, name = each.candidate.vendor, each.candidate.vendor_model
    dated = identity(vendor, name).day is not None
    return "latest" in name, dated == (vendor in _CALLED_WITHOUT_DATE), name.lower() != who.stem, name


def _route_order(each: Draft, maker: str) -> tuple[bool, bool, int, bool]:
    """The maker's own vendor first, but what is retired last: it would cost every request an attempt."""
    vendor = each.candidate.vendor
    retired = each.facts is not None and each.facts.status == "deprecated"
    own = MAKER_OF_VENDOR.get(vendor) == maker and vendor not in ("azure", "vertex", "vertex-anthropic")
    return retired, not own, _VENDOR_ORDER[vendor], each.candidate.region == "global"


def _model_id(who: Identity, chosen: list[Draft], taken: Mapping[str, Model]) -> str:
    model_id = who.stem
    if who.day is not None:
        # As its maker writes the date, if it sells the model under such a name itself.
        names = {each.candidate.vendor: each.candidate.vendor_model for each in reversed(chosen)}
        own = next((names[vendor] for vendor in names if vendor == who.maker), None)
        model_id = own.lower() if own else f"{who.stem}-{who.day}"
    return f"{who.maker}/{model_id}" if model_id in taken else model_id


def _model(kind: ModelKind, who: Identity, chosen: list[Draft], members: list[Draft], model_id: str) -> Model:
    published = [each.candidate.model.name for each in chosen if who.day is None]
    days = {identity(each.candidate.vendor, each.candidate.vendor_model).day for each in members} - {None}
    day = next(iter(days)) if len(days) == 1 else None
    names = [each.candidate.vendor_model for each in members]
    names += [without_profile(name) for name in names]
    names += [name for name in published if name is not None and is_careful(name)]
    names += KNOWN_AS.get(model_id, ())
    return Model(
        model_id=model_id,
        name=display_name(model_id, published[0] if published else None),
        provider=who.maker,
        routes=tuple(route_of(each) for each in chosen),
        aliases=tuple(sorted({*names})),
        created=None if day is None else date(int(day[:4]), int(day[4:6]), int(day[6:])),
        kind=kind,
    )


def _with_unique_names(models: Iterable[Model]) -> list[Model]:
    """A name that several models could claim belongs to none of them, except as an id."""
    named = [structs.replace(model, name=name) for model, name in _with_own_name(list(models))]
    ids = {model.model_id for model in named} | {f"{model.provider}/{model.model_id}" for model in named}
    owners: dict[str, set[str]] = defaultdict(set)
    for model in named:
        for name in (model.name, *model.aliases):
            owners[name.lower()].add(model.model_id)
    result = []
    for model in named:
        aliases = {
            alias.lower(): alias
            for alias in model.aliases
            if alias.lower() not in ids | {model.name.lower()} and len(owners[alias.lower()]) == 1
        }
        result.append(structs.replace(model, aliases=tuple(aliases[key] for key in sorted(aliases))))
    return result


def _with_own_name(models: list[Model]) -> list[tuple[Model, str]]:
    """genai-prices gives one name to all that cost the same: then the model whose id says the same keeps it."""
    shared = Counter(model.name.lower() for model in models)
    ids = {model.model_id for model in models}
    names = []
    for model in models:
        name = model.name
        if shared[name.lower()] > 1 and _letters(name) != _letters(model.model_id):
            name = display_name(model.model_id, None)
        if name.lower() in ids - {model.model_id}:
            name = model.model_id
        names.append((model, name))
    again = Counter(name.lower() for _, name in names)
    return [(model, name if again[name.lower()] == 1 else model.model_id) for model, name in names]


def _letters(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())


def _sort_key(who: Identity) -> tuple[str, str, str]:
    return who.maker, who.stem, who.day or ""
