"""TO-WRITE"""
