// The public contracts of proto/, loaded at run time. LOAD_OPTIONS must equal the flags of tools/gen-proto.sh.
import { fileURLToPath } from 'node:url'
import { loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Options, PackageDefinition } from '@grpc/proto-loader'
import { protoPath as healthProto } from 'grpc-health-check'
import type { ProtoGrpcType } from './gen/inference.ts'

const PROTO_ROOT = fileURLToPath(new URL('../../../proto', import.meta.url))
const INFERENCE_PROTO = 'rubato/v1/inference.proto'

const LOAD_OPTIONS: Options = { longs: Number, enums: String, defaults: true, oneofs: true, includeDirs: [PROTO_ROOT] }

/** The `rubato.v1` package as grpc-js clients and services. */
export function loadInferencePackage(): ProtoGrpcType {
  return loadPackageDefinition(loadSync(INFERENCE_PROTO, LOAD_OPTIONS)) as unknown as ProtoGrpcType
}

/** The same files with the field names of the .proto, for reflection: descriptors must not show camelCase. */
export function loadForReflection(): PackageDefinition {
  return loadSync([INFERENCE_PROTO, healthProto], { ...LOAD_OPTIONS, keepCase: true })
}
