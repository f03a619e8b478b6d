"""What the console hands to the doors: its pages and the page of a failure. It has no work in the background."""

from console import pages, site
from marketplace.module import Module

module = Module(name="console", pages=(pages.pages,), error_page=site.error_page)
