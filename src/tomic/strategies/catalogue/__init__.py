"""The strategies TOMIC knows: templates, the rules of their legs, gates."""
