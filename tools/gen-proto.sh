#!/bin/sh
# Writes the types of proto/ to libs/rpc/src/gen. The flags must equal LOAD_OPTIONS in libs/rpc/src/protos.ts.
set -eu
cd "$(dirname "$0")/.."
rm -rf libs/rpc/src/gen
node_modules/.bin/proto-loader-gen-types \
  --grpcLib=@grpc/grpc-js --importFileExtension=.ts --longs=Number --enums=String --defaults --oneofs \
  --includeDirs=proto --outDir=libs/rpc/src/gen rubato/v1/cluster.proto rubato/v1/draft.proto rubato/v1/inference.proto rubato/v1/kv_transfer.proto
