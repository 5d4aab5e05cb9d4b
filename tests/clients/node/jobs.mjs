// What the scripts of all npm clients share: jobs in on stdin, what each client saw out, one JSON line for each.
import { createInterface } from "node:readline";

export const WORDS = "hello there world";
export const AT_ONCE = 4;
// The smallest PNG there is: one pixel.
export const PNG_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const CITY_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const TOOL_DESCRIPTIONS = { get_weather: "The weather in a city.", get_time: "The time in a city." };

export const url = process.env.TOLLHOUSE_URL;
export const key = process.env.TOLLHOUSE_KEY;

/** What the tools of every script do. */
export function runTool(name, { city }) {
  if (typeof city !== "string") throw new Error(`no city for ${name}`);
  return { get_weather: `sunny in ${city}`, get_time: `noon in ${city}` }[name];
}

/** `fetch`, which notes what the gateway's headers say of each answer. */
function recording(answers) {
  return async (...request) => {
    const response = await fetch(...request);
    const named = (name) => response.headers.get(name);
    answers.push({
      status: response.status,
      request_id: named("x-request-id"),
      "cost-usd": named("x-tollhouse-cost-usd"),
      model: named("x-tollhouse-model"),
      vendor: named("x-tollhouse-vendor"),
      attempts: named("x-tollhouse-attempts"),
    });
    return response;
  };
}

/** Each scenario is given `{model, fetch}` and returns what it saw. */
export async function main(scenarios) {
  const jobs = [];
  for await (const line of createInterface({ input: process.stdin })) if (line) jobs.push(JSON.parse(line));
  const workers = Array.from({ length: AT_ONCE }, async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      console.log(JSON.stringify(await outcome(scenarios, job)));
    }
  });
  await Promise.all(workers);
}

async function outcome(scenarios, { scenario, model }) {
  const answers = [];
  try {
    return { scenario, model, seen: await scenarios[scenario]({ model, fetch: recording(answers) }), answers };
  } catch (error) {
    return { scenario, model, raised: raised(error), answers };
  }
}

function raised(error) {
  const types = [];
  for (let each = error; each && each !== Object.prototype; each = Object.getPrototypeOf(each)) {
    if (each.constructor?.name) types.push(each.constructor.name);
  }
  const headers = error.headers ?? error.responseHeaders ?? {};
  return {
    types,
    status: error.status ?? error.statusCode ?? null,
    param: error.param ?? null,
    message: String(error.message),
    retry_after: (typeof headers.get === "function" ? headers.get("retry-after") : headers["retry-after"]) ?? null,
  };
}
