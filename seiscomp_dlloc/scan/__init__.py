"""Events in continuous data: where a network's evidence agrees, and the locator's answer there."""
