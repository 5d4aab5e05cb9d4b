"""Google's generateContent, also on Vertex AI, and embeddings."""
