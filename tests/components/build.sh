#!/usr/bin/env bash
# build.sh DIR: builds into DIR the real components that the tests run against. Needs go alone:
# everything comes from the Go module proxy, with checksums verified.
# What is there already in the version asked for is kept; see docs/components.md for the versions.
set -euo pipefail

OUT=${1:?usage: build.sh DIR}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CONFIG=$(cd "$HERE/../../collector-config" && pwd)
command -v go >/dev/null || {
  echo "build.sh: go is not installed: install Go 1.26 or newer" >&2
  exit 2
}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export GOFLAGS="-p=2 -buildvcs=false" GOTOOLCHAIN=local

BUILDER=go.opentelemetry.io/collector/cmd/builder@v0.159.0
PROMETHEUS=github.com/prometheus/prometheus
PROMETHEUS_VERSION=v0.314.0 # the module's number for release 3.14
# No 2.x can be built from the proxy. This one's cmd/jaeger is the preview of Jaeger 2.
JAEGER=github.com/jaegertracing/jaeger
JAEGER_VERSION=v1.62.0
CLIENT_MODEL=github.com/prometheus/client_model@v0.6.1

# component NAME KEY: runs build_NAME unless DIR holds NAME built for the same KEY and Go.
component() {
  local name=$1 key start=$SECONDS
  key=$(printf '%s\n' "$2" "$(go env GOVERSION GOARCH)" "$(declare -f "build_$name" module)" | sha256sum)
  if [ -e "$OUT/$name" ] && [ "$(cat "$OUT/.$name.key" 2>/dev/null)" = "$key" ]; then
    echo "$name: there already"
    return
  fi
  rm -f "$OUT/.$name.key"
  # In the background, since bash ignores `set -e` in a command whose failure is tested.
  (build_"$name") >"$WORK/$name.log" 2>&1 &
  wait $! || {
    tail -n 40 "$WORK/$name.log" >&2
    echo "build.sh: $name did not build: see above" >&2
    exit 1
  }
  echo "$key" >"$OUT/.$name.key"
  echo "$name: built in $((SECONDS - start)) s"
}

# module FOLDER REPLACEMENT PACKAGE...: a module that requires the packages. `go install` refuses
# a module that has replacements of its own; those that matter are repeated here.
module() {
  mkdir -p "$WORK/$1"
  cd "$WORK/$1"
  [ ! -f go.sum ] || return 0
  go mod init "$1-build"
  go mod edit -replace="$2"
  go get "${@:3}"
}

# collector NAME FILE: the Collector that the builder makes of a file of collector-config/.
collector() {
  GOBIN=$WORK/bin go install "$BUILDER"
  mkdir -p "$WORK/$1"
  cd "$WORK/$1"
  "$WORK/bin/builder" --config "$CONFIG/$2"
  mv "$1-build/$1" "$OUT/$1"
}
build_otelcol() { collector otelcol builder.yaml; }
build_otelcol-gateway() { collector otelcol-gateway builder-gateway.yaml; }

prometheus_command() {
  module prometheus cloud.google.com/go=cloud.google.com/go@v0.123.0 \
    "$PROMETHEUS/cmd/prometheus@$PROMETHEUS_VERSION" "$PROMETHEUS/cmd/promtool@$PROMETHEUS_VERSION"
  # Service discovery brings in the client libraries of every cloud; the tests have static targets.
  go build -trimpath -tags netgo,remove_all_sd \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=${PROMETHEUS_VERSION#v}" \
    -o "$OUT/$1" "$PROMETHEUS/cmd/$1"
}
build_prometheus() { prometheus_command prometheus; }
build_promtool() { prometheus_command promtool; }

build_jaeger() {
  module jaeger github.com/Shopify/sarama=github.com/Shopify/sarama@v1.33.0 \
    "$JAEGER/cmd/jaeger@$JAEGER_VERSION"
  go build -trimpath -ldflags "-s -w" -o "$OUT/jaeger" "$JAEGER/cmd/jaeger"
}

build_composecheck() {
  cd "$HERE/composecheck"
  go build -trimpath -ldflags "-s -w" -o "$OUT/composecheck" .
}

# The definition that the protobuf form of the scrape is decoded with.
build_metrics.proto() {
  mkdir -p "$WORK/client_model"
  cd "$WORK/client_model"
  go mod init client-model
  go get "$CLIENT_MODEL"
  install -m 644 "$(go list -m -f '{{.Dir}}' "${CLIENT_MODEL%@*}")/io/prometheus/client/metrics.proto" "$OUT/metrics.proto"
}

component otelcol "$BUILDER $(declare -f collector) $(cat "$CONFIG/builder.yaml")"
component otelcol-gateway "$BUILDER $(declare -f collector) $(cat "$CONFIG/builder-gateway.yaml")"
component prometheus "$PROMETHEUS_VERSION"
component promtool "$PROMETHEUS_VERSION"
component jaeger "$JAEGER_VERSION"
component composecheck "$(cat "$HERE"/composecheck/*)"
component metrics.proto "$CLIENT_MODEL"
