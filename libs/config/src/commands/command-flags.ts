// The flags of every command, from shared groups: command line, environment, file and help are derived from these tables.
import type { FlagTable } from '../flags/flag.ts'
import { CHECKPOINT_FLAGS } from '../groups/checkpoint-flags.ts'
import { CLUSTER_FLAGS, COUNT_FLAGS, DRAFT_LISTENER_FLAGS, KV_FLAGS, NATS_FLAGS, OPTIONAL_NATS_FLAGS, ROLE_FLAGS } from '../groups/cluster-flags.ts'
import { DOOR_FLAGS, HOST_FLAGS, METRICS_FLAGS } from '../groups/door-flags.ts'
import { ENGINE_FLAGS, SCHEDULING_FLAGS } from '../groups/instance-flags.ts'
import { PROCESS_FLAGS } from '../groups/process-flags.ts'
import { FOREIGN_CPU_FLAGS, ROUTING_FLAGS } from '../groups/routing-flags.ts'
import { SPECULATION_FLAGS, SPECULATOR_DRAFT_FLAGS } from '../groups/speculation-flags.ts'

export const SERVE_FLAGS = {
  ...CHECKPOINT_FLAGS, ...ROUTING_FLAGS, ...HOST_FLAGS, ...DOOR_FLAGS, ...COUNT_FLAGS, ...SCHEDULING_FLAGS, ...SPECULATION_FLAGS, ...ENGINE_FLAGS,
  ...OPTIONAL_NATS_FLAGS, ...CLUSTER_FLAGS, ...KV_FLAGS, ...PROCESS_FLAGS,
} as const satisfies FlagTable

const ADMIN_PORT = 50_052

export const ROUTER_FLAGS = {
  ...NATS_FLAGS, ...CLUSTER_FLAGS, ...FOREIGN_CPU_FLAGS, ...CHECKPOINT_FLAGS, ...ROUTING_FLAGS, ...HOST_FLAGS, ...DOOR_FLAGS,
  // Operators steer a cluster through its routers: here the door is open unless it is shut.
  'admin-port': { ...DOOR_FLAGS['admin-port'], fallback: ADMIN_PORT, defaultText: String(ADMIN_PORT) },
  ...PROCESS_FLAGS,
} as const satisfies FlagTable

/** Of `prefill` and `decode`. */
export const INSTANCE_FLAGS = {
  ...NATS_FLAGS, ...CLUSTER_FLAGS, ...KV_FLAGS, ...CHECKPOINT_FLAGS, ...ROLE_FLAGS, ...HOST_FLAGS, ...METRICS_FLAGS, ...SCHEDULING_FLAGS, ...SPECULATION_FLAGS, ...ENGINE_FLAGS,
  ...PROCESS_FLAGS,
} as const satisfies FlagTable

export const MIGRATOR_FLAGS = {
  ...NATS_FLAGS, ...CLUSTER_FLAGS, ...HOST_FLAGS, ...METRICS_FLAGS, ...PROCESS_FLAGS,
} as const satisfies FlagTable

export const SPECULATOR_FLAGS = {
  ...NATS_FLAGS, ...CLUSTER_FLAGS, ...DRAFT_LISTENER_FLAGS, model: CHECKPOINT_FLAGS.model, 'max-model-len': CHECKPOINT_FLAGS['max-model-len'], 'block-size': CHECKPOINT_FLAGS['block-size'],
  ...SPECULATOR_DRAFT_FLAGS, engine: CHECKPOINT_FLAGS.engine, ...HOST_FLAGS, ...METRICS_FLAGS, 'kv-cache-memory-bytes': ENGINE_FLAGS['kv-cache-memory-bytes'], 'intra-op-threads': ENGINE_FLAGS['intra-op-threads'], ...PROCESS_FLAGS,
} as const satisfies FlagTable

/** Environment and file are shared by the processes of a machine: they may set flags of another command. */
export const EVERY_FLAG: FlagTable = { ...SPECULATOR_FLAGS, ...MIGRATOR_FLAGS, ...INSTANCE_FLAGS, ...ROUTER_FLAGS, ...SERVE_FLAGS }
