"""The pages: a module each, with a template and a catalogue of the same name (docs/console.md)."""
