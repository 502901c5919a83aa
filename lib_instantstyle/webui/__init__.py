"""The page, the run, the answers: what a user of the WebUI meets."""
