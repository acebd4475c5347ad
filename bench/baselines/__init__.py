"""The model behind other servers, as each of their documentations has it."""
