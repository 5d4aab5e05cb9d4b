"""Between a word for how much to think and a number of tokens, for vendors that know only one of the two. Pure."""

from router_worker.canonical.request import Effort, Reasoning

_SHARE_OF_OUTPUT: dict[Effort, float] = {
    "none": 0.0,
    "minimal": 0.05,
    "low": 0.2,
    "medium": 0.5,
    "high": 0.8,
    "xhigh": 0.9,
    "max": 0.95,
}
"""OpenRouter's published table for vendors that want a budget ("Reasoning tokens"), continued downwards and upwards."""


_MOST_TOKENS = 10**9
"""More than any model writes."""


def budget_tokens(reasoning: Reasoning, max_output_tokens: int, *, least: int, most: int) -> int:
    """The budget to tell a vendor that takes one: 0 for not at all, else within `least`..`most`, and always below
    `max_output_tokens`, because a budget as large as the cap would leave nothing for the answer."""
    if reasoning.budget_tokens is not None:
        wanted = reasoning.budget_tokens
    else:
        # A client may write a cap of hundreds of digits, which is too much for a float.
        wanted = int(_SHARE_OF_OUTPUT[reasoning.effort or "medium"] * min(max_output_tokens, _MOST_TOKENS))
    if wanted <= 0:
        return 0
    return min(max(wanted, least), most, max(0, max_output_tokens - 1))


def effort(reasoning: Reasoning) -> Effort:
    """The word to tell a vendor that takes one."""
    if reasoning.effort is not None:
        return reasoning.effort
    budget = reasoning.budget_tokens
    if budget is None:
        return "medium"
    bounds: tuple[tuple[int, Effort], ...] = ((0, "none"), (1023, "minimal"), (4096, "low"), (16384, "medium"))
    return next((word for bound, word in bounds if budget <= bound), "high")
