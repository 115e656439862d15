"""Events posted to URLs of the operator's: signed, in order, again and again until they are taken."""
