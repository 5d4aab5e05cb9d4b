// npm @anthropic-ai/sdk, unmodified but for baseURL and apiKey.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

import { CITY_SCHEMA, PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, key, main, runTool, url } from "./jobs.mjs";

const HELLO = [{ role: "user", content: WORDS }];
const Trip = z.object({ city: z.string(), days: z.number().int() });
const TOOLS = Object.entries(TOOL_DESCRIPTIONS).map(([name, description]) => ({
  name,
  description,
  input_schema: CITY_SCHEMA,
}));

const clientOf = ({ fetch }, more = {}) =>
  new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 30_000, fetch, ...more });

const textOf = (answer) => answer.content.map((block) => (block.type === "text" ? block.text : "")).join("");

const seen = (answer) => ({
  text: textOf(answer),
  finish: answer.stop_reason,
  served: answer.model,
  usage: {
    // This API's input does not contain what was read from the cache, or written to it.
    input:
      answer.usage.input_tokens +
      (answer.usage.cache_read_input_tokens ?? 0) +
      (answer.usage.cache_creation_input_tokens ?? 0),
    output: answer.usage.output_tokens,
    cached: answer.usage.cache_read_input_tokens ?? null,
    written: answer.usage.cache_creation_input_tokens ?? null,
  },
});

async function plain(job, more, client = clientOf(job)) {
  return seen(await client.messages.create({ model: job.model, max_tokens: 1000, messages: HELLO, ...more }));
}

async function stream(job, more) {
  const events = clientOf(job).messages.stream({ model: job.model, max_tokens: 4000, messages: HELLO, ...more });
  const answer = await events.finalMessage();
  const thoughts = answer.content.filter(({ type }) => type === "thinking").map(({ thinking }) => thinking);
  return { ...seen(answer), thoughts };
}

async function toolLoop(ask) {
  const first = await ask(HELLO);
  const calls = first.content.filter(({ type }) => type === "tool_use");
  const results = calls.map(({ id, name, input }) => ({
    type: "tool_result",
    tool_use_id: id,
    content: runTool(name, input),
  }));
  const turns = [
    { role: "assistant", content: first.content },
    { role: "user", content: results },
  ];
  const final = await ask([...HELLO, ...turns]);
  return { calls: calls.map(({ name, input }) => [name, input]), text: textOf(final) };
}

const tools = (job) =>
  toolLoop((messages) => clientOf(job).messages.create({ model: job.model, max_tokens: 1000, messages, tools: TOOLS }));

const toolsStream = (job) =>
  toolLoop((messages) =>
    clientOf(job).messages.stream({ model: job.model, max_tokens: 1000, messages, tools: TOOLS }).finalMessage(),
  );

/** The SDK's own loop over functions. It asks the server to keep the conversation, and must hear that nobody does. */
async function toolsBySdk(job) {
  const called = [];
  const runnable = TOOLS.map((tool) => ({
    ...tool,
    type: "custom",
    run: async (given) => {
      called.push([tool.name, given]);
      return runTool(tool.name, given);
    },
    parse: (given) => given,
  }));
  const { messages } = clientOf(job).beta;
  const answer = await messages.toolRunner({ model: job.model, max_tokens: 1000, messages: HELLO, tools: runnable });
  return { calls: called, text: textOf(answer) };
}

async function structured(job) {
  const answer = await clientOf(job).messages.parse({
    model: job.model,
    max_tokens: 1000,
    messages: HELLO,
    output_config: { format: zodOutputFormat(Trip) },
  });
  return { parsed: answer.parsed_output };
}

async function image(job) {
  const source = { type: "base64", media_type: "image/png", data: PNG_BASE64 };
  const content = [
    { type: "image", source },
    { type: "text", text: WORDS },
  ];
  return plain(job, { messages: [{ role: "user", content }] });
}

async function countTokens(job) {
  const counted = await clientOf(job).messages.countTokens({ model: job.model, messages: HELLO });
  return { input: counted.input_tokens };
}

await main({
  plain: (job) => plain(job),
  usage: (job) => plain(job),
  other_path: (job) => plain(job, {}, clientOf(job, { baseURL: `${url}/v1/anthropic` })),
  stream: (job) => stream(job),
  usage_stream: (job) => stream(job),
  reasoning_stream: (job) => stream(job, { thinking: { type: "enabled", budget_tokens: 1024 } }),
  tools,
  tools_stream: toolsStream,
  tools_by_sdk: toolsBySdk,
  structured,
  image,
  count_tokens: countTokens,
  bad_key: (job) => plain(job, {}, clientOf(job, { apiKey: "th_wrong" })),
  unknown_model: (job) => plain(job),
  bad_request: (job) => plain(job, { temperature: 9 }),
  rate_limited: (job) => plain(job),
  broken_stream: (job) => stream(job),
});
