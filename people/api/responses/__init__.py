"""Serializers for the API's responses. Each one both fills a response and documents it."""
