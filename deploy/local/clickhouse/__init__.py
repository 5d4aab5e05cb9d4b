"""A local stand-in for a ClickHouse server: its HTTP interface over the same engine, embedded (chdb).

What it is for. The one-machine stack and the tests need ClickHouse, and no server binary is to be had from
the package registries. chdb is the ClickHouse engine as a Python wheel. Serving ClickHouse's HTTP interface
over it means that the billing consumer, the migrations, operators' tools and the tests all use the ordinary
`clickhouse-connect` HTTP client, here and in production, and nothing in the services knows the difference.

    python -m deploy.local.clickhouse --path DIR --host 127.0.0.1 --port 8123

What holds:

- Tables are on disk under `--path`; an insert that was answered with 200 survives `kill -9` of this process
  (the engine has written its part; a power loss is another matter, nothing is fsynced).
- `insert_deduplication_token` works as in ClickHouse. A replayed batch is counted once in the source table
  and in every materialized view only if `non_replicated_deduplication_window` is set on the source and on
  the target table of each view.
- Inline insert data is handed to the engine apart from its statement (see `handle.py`): given together,
  chdb drops everything after the first empty line and reports success.
- A call's URL settings, database and external tables end with the call, in a session too.
- One process per directory; a second one says so in one line and exits 1. SIGTERM lets running statements
  finish for 10 s, then cancels them.
- The engine runs in UTC, whatever the machine's zone. clickhouse-connect takes naive datetimes for the
  client's local time: insert aware ones.

What it does not do: the native TCP protocol (port 9000), native block compression (`compress=1`,
`decompress=1`), brotli, streaming of results (a result is held in memory whole, so an error never comes after
the first byte), progress headers, cancelling a statement when its client goes away, users, roles and quotas beyond
the one account, `INSERT ... SELECT ... FROM input(...)` with inline data, TLS. It is not a production server.

Read in the order in which a request meets the files: `server` (aiohttp), `access` (who asks), `sessions`,
`formats` (bodies in and out), `requests` and `statement` (what is asked; pure), `engine` and `handle` (chdb), `errors`.
"""
