"""The engines of analysis: anomalies, trends, and causes of incidents. No actor is needed to use them."""
