"""The operations of usage: what `admin_api.operations` adds to its own."""

from admin_api.operation import Answer, Call, Operation, invalid, not_found
from admin_api.usage.query import UsageParameters, UsageQuestion, read_question
from admin_api.usage.report import UsageReport, usage_csv, usage_report
from admin_api.usage.requests import RequestAccount, request_account, request_statements
from admin_api.usage.statements import rows_statement, total_statement

CSV = "text/csv"
MAX_CSV_ROWS = 100_000
"""The page is made in memory."""


async def show_usage(call: Call) -> Answer:
    parameters: UsageParameters = call.query
    question = read_question(parameters, call.caller.organization_id, call.now_ms)
    if parameters.format == "csv":
        return await _usage_csv(call, question)
    # One row more than the page: it tells that there is another.
    rows = rows_statement(question, question.limit + 1)
    total = total_statement(question)
    return Answer(
        body=usage_report(
            question,
            await call.queries.rows(rows.sql, rows.parameters),
            await call.queries.rows(total.sql, total.parameters),
        )
    )


async def _usage_csv(call: Call, question: UsageQuestion) -> Answer:
    statement = rows_statement(question, MAX_CSV_ROWS + 1)
    rows = await call.queries.rows(statement.sql, statement.parameters)
    if len(rows) > MAX_CSV_ROWS:
        raise invalid("format", f"That is more than {MAX_CSV_ROWS} lines: ask for less, or for pages of JSON.")
    return Answer(
        text=usage_csv(question, rows),
        content_type=f"{CSV}; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="usage.csv"'},
    )


async def show_request(call: Call) -> Answer:
    request_id = call.path["request_id"]
    request, attempts = request_statements(request_id, call.caller.organization_id)
    account = request_account(
        request_id,
        await call.queries.rows(request.sql, request.parameters),
        await call.queries.rows(attempts.sql, attempts.parameters),
    )
    if account is None:
        raise not_found("request", request_id)
    return Answer(body=account)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        operation_id="get_usage",
        method="GET",
        path="/usage",
        group="usage",
        summary="Usage and cost over a range, by any of its dimensions",
        handler=show_usage,
        query=UsageParameters,
        answer=UsageReport,
        other_types=(CSV,),
        errors=(503,),
    ),
    Operation(
        operation_id="get_request",
        method="GET",
        path="/requests/{request_id}",
        group="usage",
        summary="A request, its attempts and its cost; known about a second after its end",
        handler=show_request,
        answer=RequestAccount,
        errors=(404, 503),
    ),
)
