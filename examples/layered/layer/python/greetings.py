"""What several functions share."""

GREETINGS = {"en": "Hello", "de": "Guten Tag", "fr": "Bonjour"}


def greet(name: str, language: str) -> str:
    return f"{GREETINGS.get(language, GREETINGS['en'])}, {name}!"
