// The public contracts of proto/, loaded at run time. LOAD_OPTIONS must equal the flags of tools/gen-proto.sh.
import { fileURLToPath } from 'node:url'
import { loadPackageDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Options, PackageDefinition } from '@grpc/proto-loader'
import { protoPath as healthProto } from 'grpc-health-check'
import type { ProtoGrpcType as ClusterPackage } from './gen/cluster.ts'
import type { ProtoGrpcType as DraftPackage } from './gen/draft.ts'
import type { ProtoGrpcType } from './gen/inference.ts'
import type { ProtoGrpcType as KvTransferPackage } from './gen/kv_transfer.ts'

const PROTO_ROOT = fileURLToPath(new URL('../../../proto', import.meta.url))
const CLUSTER_PROTO = 'rubato/v1/cluster.proto'
const DRAFT_PROTO = 'rubato/v1/draft.proto'
const INFERENCE_PROTO = 'rubato/v1/inference.proto'
const KV_TRANSFER_PROTO = 'rubato/v1/kv_transfer.proto'

const LOAD_OPTIONS: Options = { longs: Number, enums: String, defaults: true, oneofs: true, includeDirs: [PROTO_ROOT] }

/** The `rubato.v1` package as grpc-js clients and services. */
export function loadInferencePackage(): ProtoGrpcType {
  return loadPackageDefinition(loadSync(INFERENCE_PROTO, LOAD_OPTIONS)) as unknown as ProtoGrpcType
}

/** The part of the `rubato.v1` package that operators use. */
export function loadClusterPackage(): ClusterPackage {
  return loadPackageDefinition(loadSync(CLUSTER_PROTO, LOAD_OPTIONS)) as unknown as ClusterPackage
}

/** The part of the `rubato.v1` package that instances speak among themselves. */
export function loadKvTransferPackage(): KvTransferPackage {
  return loadPackageDefinition(loadSync(KV_TRANSFER_PROTO, LOAD_OPTIONS)) as unknown as KvTransferPackage
}

/** The part of the `rubato.v1` package that instances and speculators speak. */
export function loadDraftPackage(): DraftPackage {
  return loadPackageDefinition(loadSync(DRAFT_PROTO, LOAD_OPTIONS)) as unknown as DraftPackage
}

/** The same files with the field names of the .proto, for reflection: descriptors must not show camelCase. */
export function loadForReflection(): PackageDefinition {
  return loadSync([CLUSTER_PROTO, DRAFT_PROTO, INFERENCE_PROTO, KV_TRANSFER_PROTO, healthProto], { ...LOAD_OPTIONS, keepCase: true })
}
