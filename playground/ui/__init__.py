"""The pages and the API."""

from playground.ui.server.stubs import write_no_stubs

write_no_stubs()
