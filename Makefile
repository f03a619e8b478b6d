# Thin: the truth is in manage.py, which works without make too (python3 manage.py run).
PYTHON ?= python3
TARGETS := help run stop test test-fast lint types migrate worker bench docs lock
.PHONY: $(TARGETS)
.DEFAULT_GOAL := help
$(TARGETS):
	@$(PYTHON) manage.py $@
