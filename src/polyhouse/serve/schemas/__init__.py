"""What the documents of the API look like, for OpenAPI, CSV and Arrow."""
