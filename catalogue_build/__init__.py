"""`make catalogue`: published price lists → runtime/catalogue/models.json and docs/catalogue-disagreements.md.

Read in this order: sources (the wheels) → genai_data, litellm_data (what they say) → candidates (which routes there
could be) → prices, facts, routes (one route) → names (which routes are one model) → models (all together) → rendering.
Only __main__, pins and sources touch files; nothing of this runs in a service.
"""
