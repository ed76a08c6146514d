# Twinreel: every target that people and CI use. `make` alone lists them.

MODULES  := pkg ingress worker-primary worker-backup reconciler deploy/local deploy/check
PROGRAMS := ingress worker-primary worker-backup reconciler

GOLANGCI := .cache/golangci-lint-v2.15.0/golangci-lint
LOCAL    := bin/local

# More flags for `go test`, such as TESTFLAGS=-v or TESTFLAGS='-run Letters'.
TESTFLAGS ?=
# What to test: every module but deploy/check, unless told otherwise, such as PACKAGES=./pkg/queue.
PACKAGES ?= $(patsubst %,./%/...,$(filter-out deploy/check,$(MODULES)))

export GOFLAGS ?= -buildvcs=false

# The programs say in --version what they were built from, where git can tell.
STAMP := $(shell git rev-parse -q --verify HEAD >/dev/null 2>&1 && echo true || echo false)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(LOCAL) ## the whole pipeline on real servers on this machine, by itself: two minutes, and a proof at the end
	@$(LOCAL) demo

.PHONY: up
up: $(LOCAL) ## the same, kept running, with every address and example command, until Ctrl-C
	@$(LOCAL) up

.PHONY: test
test: $(LOCAL) ## everything that must pass: builds, vet, import rules, and all tests on real servers with the race detector
	@$(LOCAL) prepare --race
	go vet work
	@set -e; for m in $(MODULES); do echo "build and vet $$m by itself"; (cd $$m && GOWORK=off go build ./... && GOWORK=off go vet ./...); done
	@$(MAKE) --no-print-directory build
	$(LOCAL) with-servers -- go test -race -timeout 40m $(TESTFLAGS) $(PACKAGES)

.PHONY: bench
bench: $(LOCAL) ## measure it against a floor, the leanest program that does the same work; BENCH='--rows copy-1MiB' for some rows
	@$(LOCAL) bench $(BENCH)

.PHONY: chaos
chaos: $(LOCAL) ## break servers, stores, lines and programs, and prove that nothing is lost; CHAOS='--rows s3-' for some rows
	@$(LOCAL) chaos $(CHAOS)

.PHONY: images
images: ## the four container images, with inventories and checksums, into bin/images; IMAGES='--registry example.com/team/' for more
	@cd deploy/check && go run ./cmd/images $(IMAGES)

.PHONY: deploy-check
deploy-check: build $(LOCAL) ## check all that deploys: images, Kubernetes, one server, alerts, runbooks
	@$(LOCAL) prepare
	cd deploy/check && $(CURDIR)/$(LOCAL) with-servers -- go test -timeout 60m $(TESTFLAGS) ./...

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint and gofumpt over every module
	@set -e; for m in $(MODULES); do echo "lint $$m"; (cd $$m && $(CURDIR)/$(GOLANGCI) run ./...); done

.PHONY: build
build: ## the programs, into bin/
	@set -e; mkdir -p bin; for p in $(PROGRAMS); do (cd $$p && go build -trimpath -buildvcs=$(STAMP) -o ../bin/$$p .); done

.PHONY: settings
settings: build $(LOCAL) ## write the programs' settings into the READMEs, and capacity's plans into deploy/CAPACITY.md
	@$(LOCAL) settings

# Go knows best whether anything has changed.
.PHONY: $(LOCAL)
$(LOCAL):
	@mkdir -p bin; cd deploy/local && go build -o ../../$(LOCAL) ./cmd/local

$(GOLANGCI):
	@echo "building golangci-lint (once) …"
	@mkdir -p $(@D)
	@GOBIN=$(CURDIR)/$(@D) GOWORK=off go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
