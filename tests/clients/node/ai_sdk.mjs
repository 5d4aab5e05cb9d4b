// npm ai with @ai-sdk/openai-compatible.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { PNG_BASE64, TOOL_DESCRIPTIONS, WORDS, key, main, runTool, url } from "./jobs.mjs";

const Trip = z.object({ city: z.string(), days: z.number().int() });

const providerOf = ({ fetch }, apiKey = key) =>
  createOpenAICompatible({
    name: "tollhouse",
    baseURL: `${url}/v1`,
    apiKey,
    fetch,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });

const toolsFor = (called) =>
  Object.fromEntries(
    Object.entries(TOOL_DESCRIPTIONS).map(([name, description]) => [
      name,
      tool({
        description,
        inputSchema: z.object({ city: z.string() }),
        execute: async (given) => {
          called.push([name, given]);
          return runTool(name, given);
        },
      }),
    ]),
  );

const usageOf = (usage) => ({
  input: usage.inputTokens,
  output: usage.outputTokens,
  total: usage.totalTokens,
  cached: usage.inputTokenDetails?.cacheReadTokens ?? usage.cachedInputTokens ?? null,
  reasoning: usage.outputTokenDetails?.reasoningTokens ?? usage.reasoningTokens ?? null,
});

async function plain(job, more = {}, provider = providerOf(job)) {
  const answer = await generateText({ model: provider(job.model), prompt: WORDS, maxRetries: 0, ...more });
  return { text: answer.text, finish: answer.finishReason, usage: usageOf(answer.usage) };
}

async function stream(job) {
  let failed;
  const answer = streamText({
    model: providerOf(job)(job.model),
    prompt: WORDS,
    maxRetries: 0,
    onError: ({ error }) => {
      failed = error;
    },
  });
  let text = "";
  for await (const piece of answer.textStream) text += piece;
  // The text stream just ends; this SDK tells of errors by the callback.
  if (failed !== undefined) throw failed instanceof Error ? failed : new Error(String(failed?.message ?? failed));
  return { text, finish: await answer.finishReason, usage: usageOf(await answer.usage) };
}

async function tools(job) {
  const called = [];
  const more = { tools: toolsFor(called), stopWhen: stepCountIs(3) };
  const { text } = await plain(job, more);
  return { calls: called, text };
}

async function toolsStream(job) {
  const called = [];
  const answer = streamText({
    model: providerOf(job)(job.model),
    prompt: WORDS,
    maxRetries: 0,
    tools: toolsFor(called),
    stopWhen: stepCountIs(3),
  });
  await answer.consumeStream();
  return { calls: called, text: await answer.text };
}

async function structured(job) {
  const answer = await generateText({
    model: providerOf(job)(job.model),
    prompt: WORDS,
    maxRetries: 0,
    output: Output.object({ schema: Trip }),
  });
  return { parsed: answer.output };
}

async function image(job) {
  const content = [
    { type: "text", text: WORDS },
    { type: "image", image: PNG_BASE64, mediaType: "image/png" },
  ];
  return plain(job, { prompt: undefined, messages: [{ role: "user", content }] });
}

async function embeddings(job) {
  const model = providerOf(job).embeddingModel(job.model);
  const answer = await embedMany({ model, values: [WORDS, "something else"], maxRetries: 0 });
  return { lengths: answer.embeddings.map((vector) => vector.length), input: answer.usage.tokens };
}

await main({
  plain: (job) => plain(job),
  usage: (job) => plain(job),
  stream,
  usage_stream: stream,
  tools,
  tools_stream: toolsStream,
  structured,
  image,
  embeddings,
  bad_key: (job) => plain(job, {}, providerOf(job, "th_wrong")),
  unknown_model: (job) => plain(job),
  bad_request: (job) => plain(job, { temperature: 9 }),
  rate_limited: (job) => plain(job),
  broken_stream: stream,
});
