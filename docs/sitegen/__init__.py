"""What the documentation site is made of beside its hand-written pages."""
