"""The world behind the ports: OVN, and hosts through their mailboxes."""
