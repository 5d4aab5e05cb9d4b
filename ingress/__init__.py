"""The service that clients talk to: authenticate, admit, put on Kafka, and pipe the worker's frames back.

In the order in which a request meets them: `http_api` → `authenticate` → `surfaces` → `admission` → `request_queue` →
`exchanges` (claims, over `reply_server`) → `answer`. Beside the way: `spend_view`, `models_page`, `aftermath`.
"""
