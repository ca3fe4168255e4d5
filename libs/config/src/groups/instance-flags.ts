// How an instance uses its machine and schedules its requests.
import { flag, unless } from '../flags/flag.ts'
import { byteSize, choice, onOff, seconds, text, wholeNumber } from '../flags/value-schemas.ts'

export const SCHEDULING_FLAGS = {
  'max-num-seqs': flag({ group: 'Scheduling', help: 'sequences running at once on one instance', placeholder: 'N', schema: wholeNumber(1, 4096), fallback: 64 }),
  'max-num-batched-tokens': flag({ group: 'Scheduling', help: 'token budget of one step', placeholder: 'N', schema: wholeNumber(1), fallback: 512 }),
  'enable-prefix-caching': flag({ group: 'Scheduling', help: 'reuse KV blocks of equal prompt prefixes', placeholder: null, schema: onOff(), fallback: true }),
  batching: flag({ group: 'Scheduling', help: 'tempo|sarathi|prefill-first|orca', placeholder: 'POLICY', schema: choice(['tempo', 'sarathi', 'prefill-first', 'orca']), fallback: 'tempo' }),
  'orphan-ttl': flag({ group: 'Overload and shutdown', help: 'seconds that a request whose router vanished waits for its client to come back', placeholder: 'S', schema: seconds(), fallback: 10 }),
} as const

export const ENGINE_FLAGS = {
  'kv-cache-memory-bytes': flag({ group: 'Memory and threads', help: 'KV memory of one instance: bytes, 512MiB, 2GiB', placeholder: 'SIZE', schema: byteSize().nullable(), fallback: null, defaultText: '1 GiB, all instances together at most a quarter of the memory' }),
  'intra-op-threads': flag({ group: 'Memory and threads', help: 'compute threads of one instance', placeholder: 'N', schema: wholeNumber(1, 1024).nullable(), fallback: null, defaultText: 'its share of the cores, at most 8' }),
  profile: flag({ group: 'Memory and threads', help: 'step-time profile. auto: cached or measured at start; refresh: measured; or a file', placeholder: 'auto|refresh|FILE', schema: text(), fallback: 'auto', isPath: unless('auto', 'refresh') }),
  'profile-budget-secs': flag({ group: 'Memory and threads', help: 'time limit of that measurement', placeholder: 'S', schema: seconds(), fallback: 10 }),
} as const
