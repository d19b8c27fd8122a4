"""What the API answers with: each shape once, as a serializer that both fills it and documents it."""
