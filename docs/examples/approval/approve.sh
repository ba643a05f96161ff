#!/usr/bin/env bash
# Approves one Operation as it stands, for one hour: signs a token of version 2 (docs/contract.md#approval) and writes it into the
# Operation. Read what you approve first: kubectl get operation NAME -n NAMESPACE -o yaml
# `kubectl operation approve` does the same (docs/cli.md); this shows what it takes.
# usage: approve.sh NAMESPACE NAME KEY_FILE
# needs: kubectl with the right to update the Operation, jq, openssl
set -euo pipefail
namespace=$1 name=$2 key=$(cat "$3")

operation=$(kubectl get operation "$name" -n "$namespace" -o json)
# What is approved: JSON without blanks, keys sorted.
request=$(jq -cjS '.spec | {type, engine, targetRef: (.targetRef | {apiVersion, kind, name}), parameters: (.parameters // {})}' \
  <<<"$operation")
digest=sha256:$(printf %s "$request" | openssl dgst -sha256 -r | cut -d' ' -f1)

payload=$(jq -c --arg by "${USER:-unknown}" --arg digest "$digest" \
  '{v: 2, uid: .metadata.uid, digest: $digest, by: $by, at: (now | todate), exp: (now + 3600 | floor)}' <<<"$operation")
body=$(printf %s "$payload" | openssl base64 -A | tr '+/' '-_' | tr -d '=')
signature=$(printf %s "$body" | openssl dgst -sha256 -hmac "$key" -r | cut -d' ' -f1)

kubectl patch operation "$name" -n "$namespace" --type=merge \
  -p "{\"spec\": {\"approvals\": {\"claim\": \"vws2.$body.$signature\"}}}"
