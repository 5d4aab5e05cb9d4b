// npm openai on Chat Completions, Responses, Embeddings and Models, unmodified but for baseURL and apiKey.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { CITY_SCHEMA, PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, key, main, runTool, url } from "./jobs.mjs";

const HELLO = [{ role: "user", content: WORDS }];
const Trip = z.object({ city: z.string(), days: z.number().int() });
const TOOLS = Object.entries(TOOL_DESCRIPTIONS).map(([name, description]) => ({
  type: "function",
  function: { name, description, parameters: CITY_SCHEMA },
}));
const FLAT_TOOLS = TOOLS.map(({ function: tool }) => ({ type: "function", ...tool, strict: true }));

const clientOf = ({ fetch }, more = {}) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000, fetch, ...more });

const usageOf = (usage) => ({
  input: usage.prompt_tokens,
  output: usage.completion_tokens,
  total: usage.total_tokens,
  cached: usage.prompt_tokens_details?.cached_tokens ?? null,
  reasoning: usage.completion_tokens_details?.reasoning_tokens ?? null,
});

async function plain(job, more, client = clientOf(job)) {
  const answer = await client.chat.completions.create({ model: job.model, messages: HELLO, ...more });
  return {
    text: answer.choices[0].message.content,
    finish: answer.choices[0].finish_reason,
    served: answer.model,
    usage: usageOf(answer.usage),
  };
}

async function stream(job) {
  const chunks = await clientOf(job).chat.completions.create({
    model: job.model,
    messages: HELLO,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of chunks) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage: usageOf(usage) };
}

const results = (calls) =>
  calls.map(({ id, function: { name, arguments: json } }) => ({
    role: "tool",
    tool_call_id: id,
    content: runTool(name, JSON.parse(json)),
  }));

const toolLoop = (calls, text) => ({
  calls: calls.map(({ function: { name, arguments: json } }) => [name, JSON.parse(json)]),
  text,
});

async function tools(job) {
  const { completions } = clientOf(job).chat;
  const first = await completions.create({ model: job.model, messages: HELLO, tools: TOOLS });
  const { message } = first.choices[0];
  const messages = [...HELLO, message, ...results(message.tool_calls)];
  const final = await completions.create({ model: job.model, messages, tools: TOOLS });
  return toolLoop(message.tool_calls, final.choices[0].message.content);
}

async function toolsStream(job) {
  const { completions } = clientOf(job).chat;
  const first = await completions.stream({ model: job.model, messages: HELLO, tools: TOOLS }).finalChatCompletion();
  const { message } = first.choices[0];
  const calls = message.tool_calls.map(({ id, type, function: { name, arguments: json } }) => ({
    id,
    type,
    function: { name, arguments: json },
  }));
  const messages = [...HELLO, { role: "assistant", tool_calls: calls }, ...results(calls)];
  const final = await completions.stream({ model: job.model, messages, tools: TOOLS }).finalChatCompletion();
  return toolLoop(calls, final.choices[0].message.content);
}

/** The SDK's own loop over functions. */
async function toolsBySdk(job) {
  const called = [];
  const runner = clientOf(job).chat.completions.runTools({
    model: job.model,
    messages: HELLO,
    tools: TOOLS.map(({ function: tool }) => ({
      type: "function",
      function: {
        ...tool,
        parse: JSON.parse,
        function: (given) => {
          called.push([tool.name, given]);
          return runTool(tool.name, given);
        },
      },
    })),
  });
  return { text: await runner.finalContent(), calls: called };
}

async function structured(job) {
  const answer = await clientOf(job).chat.completions.parse({
    model: job.model,
    messages: HELLO,
    response_format: zodResponseFormat(Trip, "trip"),
  });
  return { parsed: answer.choices[0].message.parsed };
}

async function image(job) {
  const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG_BASE64}` } };
  return plain(job, { messages: [{ role: "user", content: [{ type: "text", text: WORDS }, picture] }] });
}

const responseSeen = (answer) => ({
  text: answer.output_text,
  served: answer.model,
  usage: {
    input: answer.usage.input_tokens,
    output: answer.usage.output_tokens,
    total: answer.usage.total_tokens,
    cached: answer.usage.input_tokens_details.cached_tokens,
    reasoning: answer.usage.output_tokens_details.reasoning_tokens,
  },
});

async function responses(job) {
  return responseSeen(await clientOf(job).responses.create({ model: job.model, input: WORDS, store: false }));
}

async function responsesStream(job) {
  return responseSeen(await clientOf(job).responses.stream({ model: job.model, input: WORDS, store: false }).finalResponse());
}

async function responsesTools(job) {
  const client = clientOf(job).responses;
  const asked = [{ role: "user", content: WORDS }];
  const ask = (input) => client.stream({ model: job.model, input, tools: FLAT_TOOLS, store: false }).finalResponse();
  const first = await ask(asked);
  const calls = first.output.filter(({ type }) => type === "function_call");
  const made = calls.map(({ type, call_id, name, arguments: json }) => ({ type, call_id, name, arguments: json }));
  const outputs = calls.map(({ call_id, name, arguments: json }) => ({
    type: "function_call_output",
    call_id,
    output: runTool(name, JSON.parse(json)),
  }));
  const final = await ask([...asked, ...made, ...outputs]);
  return { calls: calls.map(({ name, arguments: json }) => [name, JSON.parse(json)]), text: final.output_text };
}

async function responsesStructured(job) {
  const answer = await clientOf(job).responses.parse({
    model: job.model,
    input: WORDS,
    text: { format: zodTextFormat(Trip, "trip") },
    store: false,
  });
  return { parsed: answer.output_parsed };
}

async function embeddings(job) {
  const answer = await clientOf(job).embeddings.create({ model: job.model, input: [WORDS, "something else"] });
  return { lengths: answer.data.map(({ embedding }) => embedding.length), input: answer.usage.prompt_tokens };
}

async function models(job) {
  const client = clientOf(job);
  let listed = false;
  for await (const { id } of client.models.list()) listed ||= id === job.model;
  return { listed, one: (await client.models.retrieve(job.model)).id };
}

await main({
  plain: (job) => plain(job),
  usage: (job) => plain(job),
  stream,
  usage_stream: stream,
  tools,
  tools_stream: toolsStream,
  tools_by_sdk: toolsBySdk,
  structured,
  image,
  responses,
  responses_stream: responsesStream,
  responses_tools: responsesTools,
  responses_structured: responsesStructured,
  embeddings,
  models,
  bad_key: (job) => plain(job, {}, clientOf(job, { apiKey: "th_wrong" })),
  unknown_model: (job) => plain(job),
  bad_request: (job) => plain(job, { temperature: 9 }),
  rate_limited: (job) => plain(job),
  broken_stream: stream,
});
