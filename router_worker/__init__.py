"""The service that calls vendors: consume, claim, plan, call with fallback, stream back, report usage.

In the order in which a request meets them: `intake` → `serve` → `reply_pool` and `stream` (claim) → `surfaces` →
`planner` → `vendor_caller` with `vendors` → `usage_events` (with `rating` and `estimate`).
"""
