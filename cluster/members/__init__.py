"""Who belongs to the cluster: signed records, the list made of them, invitations, joining, dialing."""
