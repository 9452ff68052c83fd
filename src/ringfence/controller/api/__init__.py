"""The REST API, one file a noun. Checks what is asked and by whom; the store and the workflows do it."""
