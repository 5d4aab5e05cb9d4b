"""OpenAI's formats, which most vendors speak: chat completions, responses, embeddings."""
