"""The one program that sees passwords in clear: the controller starts it, and asks it over sockets only those two hold.

It keeps no account, reads no database, and after its start can open no file and no connection.
"""
