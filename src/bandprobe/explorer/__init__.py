"""The explorer: a page on this machine where a picture is dropped and a cut-off is moved."""
